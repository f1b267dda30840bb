# The shop's orders: asks users by gRPC, and knows nothing of the mesh.
FROM scratch
COPY orders /orders
USER 65532:65532
ENTRYPOINT ["/orders"]
