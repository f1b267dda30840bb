# The app and the judge of the cluster tests. It is in no release.
FROM scratch
COPY weft-test-app /weft-test-app
USER 65532:65532
ENTRYPOINT ["/weft-test-app"]
