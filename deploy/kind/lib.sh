# Shared by the scripts beside it and by deploy/images/build: how this machine reaches Docker and makes clusters. Bash.
#
# Where images can be pulled, that is plain docker and kind. Where the folder ../shared/kind exists, it has both and a
# node image, made without any registry.

kit=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../shared/kind" 2>/dev/null && pwd || true)
[[ -n $kit && -x $kit/up ]] || kit=
[[ -z $kit ]] || eval "$("$kit/env")"
docker_advice="start it, or let your user reach it (docker info tells more)"

# Whether the Docker engine is there; the kit's own is started for that.
docker_answers() {
    [[ -z $kit ]] || "$kit/docker-up" >&2 || return 1
    command -v docker >/dev/null && docker info >/dev/null 2>&1
}
