# The control plane.
FROM scratch
COPY weft-control-plane /weft-control-plane
USER 65532:65532
ENTRYPOINT ["/weft-control-plane"]
