# The NATS server for the shop's events on a cluster, from Debian's package; deploy/images/debian lays out root.
FROM scratch
COPY root /
USER 65532:65532
ENTRYPOINT ["/usr/sbin/nats-server"]
