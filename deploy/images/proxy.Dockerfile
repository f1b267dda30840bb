# The sidecar. Its user is the one whose connections the redirect rules let through.
FROM scratch
COPY weft-proxy /weft-proxy
USER 2102:2102
ENTRYPOINT ["/weft-proxy"]
