# One PostgreSQL server for the shop's services on a cluster, from Debian's packages; deploy/images/debian lays out root.
FROM scratch
COPY root /
USER 65532:65532
ENTRYPOINT ["/bin/sh", "/postgres-start"]
