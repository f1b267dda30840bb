# The shop: every service of it in one program. Knows nothing of the mesh.
FROM scratch
COPY shop /shop
USER 65532:65532
ENTRYPOINT ["/shop"]
