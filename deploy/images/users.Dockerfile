# The shop's users: knows nothing of the mesh.
FROM scratch
COPY users /users
USER 65532:65532
ENTRYPOINT ["/users"]
