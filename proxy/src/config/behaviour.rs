//! Rows on how the proxy behaves: time limits, amounts, balancing and retries, logs and metrics.

use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::{
    parse::{
        AccessLogFormat, HostPort, LogFormat, access_log, bytes, collector, count, duration, duration_or_off,
        log_format, log_level, optional, rate, ratio,
    },
    setting::{
        Preset::{Is, Unset},
        settings,
    },
};

settings! {
    /// How long anything may take. Limits of a route come from its HTTPRoute, not from here.
    pub struct Timeouts("Time limits") {
        detect: Duration = "WEFT_DETECT_DEADLINE" ("duration") Is("50ms"), duration;
            "how long a silent client is waited for before the server is dialled to see who speaks first, and how long a client may take for its first word";
            "Clients of HTTP speak within a millisecond of connecting; longer only delays protocols whose server speaks first";
        connect_outbound: Duration = "WEFT_CONNECT_DEADLINE_OUTBOUND" ("duration") Is("1s"), duration;
            "how long an endpoint may take to accept a connection";
            "One lost SYN is sent again after 1 s, so a longer wait seldom ends better than another endpoint";
        connect_inbound: Duration = "WEFT_CONNECT_DEADLINE_INBOUND" ("duration") Is("300ms"), duration;
            "how long the app may take to accept a connection";
            "It is on the same machine: what does not accept by then has a full backlog";
        handshake: Duration = "WEFT_HANDSHAKE_DEADLINE" ("duration") Is("2s"), duration;
            "how long a TLS handshake between proxies may take"; "Two round trips and a signature, with room for a busy peer";
        head: Duration = "WEFT_HEAD_DEADLINE" ("duration") Is("30s"), duration;
            "how long a client may take to send a request's whole head once it has begun";
            "Holds off clients that send a byte at a time, and leaves room for a bad line";
        client_idle: Duration = "WEFT_CLIENT_IDLE" ("duration") Is("5m"), duration;
            "how long an HTTP connection of a client may stay without a request";
            "Longer than the pools of common clients (90 s in Go), so that the client closes first and no request meets a closing connection";
        app_idle: Duration = "WEFT_APP_IDLE" ("duration") Is("3s"), duration;
            "how long an idle HTTP/1.1 connection to the app is kept for the next request";
            "Common servers close theirs at 5 s; a request written to a closing connection cannot be retried safely";
        mesh_idle: Duration = "WEFT_MESH_IDLE" ("duration") Is("1m"), duration;
            "how long a connection between two proxies is kept without a stream";
            "A handshake costs more than an idle connection, but a peer that is gone should be forgotten";
        tcp_idle: Option<Duration> = "WEFT_TCP_IDLE" ("duration|off") Is("off"), duration_or_off;
            "how long an opaque connection may stay without a byte in either direction";
            "Pools of database connections idle for hours; a dead peer is found by keepalive";
        half_close: Duration = "WEFT_HALF_CLOSE_DEADLINE" ("duration") Is("5m"), duration;
            "how long an opaque connection that is closed in one direction may stay without a byte in the other";
            "Half-closed connections whose other end is lost otherwise stay for ever and leak descriptors";
        keepalive: Duration = "WEFT_TCP_KEEPALIVE" ("duration") Is("10s"), duration;
            "after how long without a byte the kernel probes a connection"; "Finds a peer whose machine is gone within half a minute";
        user_timeout: Duration = "WEFT_TCP_USER_TIMEOUT" ("duration") Is("30s"), duration;
            "how long sent bytes may stay unacknowledged before the kernel gives a connection up";
            "The kernel's own default is about 15 minutes";
        discovery: Duration = "WEFT_DISCOVERY_WAIT" ("duration") Is("3s"), duration;
            "how long a connection to an address of the cluster waits for the control plane to say where it leads";
            "Outlasts a restart of one replica of the control plane, and answers before most clients give up";
        discovery_idle: Duration = "WEFT_DISCOVERY_IDLE" ("duration") Is("1h"), duration;
            "after how long without use the picture of a destination is dropped";
            "A destination must survive an idle night job while the control plane is away; the memory is small";
        reconnect_most: Duration = "WEFT_RECONNECT_MOST" ("duration") Is("10s"), duration;
            "the longest pause between tries to reach the control plane; it starts at 100ms, doubles, and is jittered";
            "Thousands of proxies that come back at once must not keep a restarted control plane down";
        queue: Duration = "WEFT_QUEUE_WAIT" ("duration") Is("3s"), duration;
            "how long a request waits for an endpoint when there is none that takes requests";
            "Covers the moment between the last pod of an old version and the first of a new one";
        drain: Duration = "WEFT_DRAIN_DEADLINE" ("duration") Is("30s"), duration;
            "how long what is in flight may take to end after SIGTERM"; "The termination grace period of a pod";
    }
}

settings! {
    /// How much of anything there may be, per proxy unless said otherwise.
    pub struct Limits("Amounts") {
        connections: usize = "WEFT_CONNECTION_LIMIT" ("connections") Is("20000"), count;
            "accepted connections; at the limit new ones wait in the kernel's backlog";
            "Far above what a pod sees, and with two descriptors each far below a container's usual limit";
        in_flight: usize = "WEFT_IN_FLIGHT_LIMIT" ("requests") Is("10000"), count;
            "requests between their head and the end of their answer; beyond it a request is refused as overloaded";
            "Bounds memory to some hundred MiB at worst; lower defaults have broken busy gateways of other meshes";
        handshakes: usize = "WEFT_HANDSHAKE_LIMIT" ("handshakes") Is("64"), count;
            "TLS handshakes at the same time; more wait their turn, and of one peer (address) a quarter as many may wait or go on";
            "About 30 ms of work for one core: a rollout's worth of new peers must not delay requests longer";
        peer_connections: usize = "WEFT_PEER_CONNECTION_LIMIT" ("connections") Is("64"), count;
            "connections that one peer (address) may hold to the inbound port"; "A peer opens one per worker, and another when one is full";
        client_connections: usize = "WEFT_CLIENT_CONNECTION_LIMIT" ("connections") Is("10000"), count;
            "connections that one address outside of the mesh may hold to the app; more are reset";
            "Half of all: room for a load balancer that comes from one address, and none of them takes the others' place";
        streams: usize = "WEFT_STREAM_LIMIT" ("streams") Is("1000"), count;
            "streams on one connection between proxies; the next ones get another connection";
            "At 256 KiB of credit each, what one peer can make a proxy hold stays bounded";
        queue: usize = "WEFT_QUEUE_LIMIT" ("requests") Is("10000"), count;
            "requests of one destination that wait for an endpoint at the same time";
            "A small queue turns a short gap into errors; the wait and the in-flight limit bound it anyway";
        destinations: usize = "WEFT_DESTINATION_LIMIT" ("destinations") Is("10000"), count;
            "destinations whose picture is kept; the one that was not used for longest goes first"; "As many Services as a big cluster has";
        head_bytes: usize = "WEFT_HEAD_BYTES" ("bytes") Is("64KiB"), bytes;
            "the head of a request or response, trailers likewise"; "Twice what common servers take, so the app's own limit is met first";
        head_fields: usize = "WEFT_HEAD_FIELDS" ("fields") Is("256"), count;
            "header fields in a head"; "More than twice the common limit of 100";
        replay_bytes: usize = "WEFT_REPLAY_BYTES" ("bytes") Is("64KiB"), bytes;
            "how much of a request's body is kept so that a retry can send it again; a longer one is not retried once sent";
            "Holds most calls between services, and bounds memory";
    }
}

settings! {
    /// How endpoints are chosen, set aside and tried again.
    pub struct Balancing("Balancing and retries") {
        ewma_rtt: Duration = "WEFT_EWMA_DEFAULT_RTT" ("duration") Is("30ms"), duration;
            "the latency that an endpoint is taken to have while its first request is under way";
            "A new endpoint is tried at once, by one request at a time";
        ewma_decay: Duration = "WEFT_EWMA_DECAY" ("duration") Is("10s"), duration;
            "how fast old latencies are forgotten"; "Long enough to outlast one slow answer, short enough to notice recovery";
        slow_start: Option<Duration> = "WEFT_SLOW_START" ("duration|off") Is("10s"), duration_or_off;
            "how long an endpoint that comes later than the others takes, from its first answer, to its whole share of requests; it begins with a tenth of it";
            "Caches and compilers warm up within seconds, and until then every request to a cold pod is a slow one; the field has it off, as it knows no first answer and so delays quick pods too";
        breaker_failures: usize = "WEFT_BREAKER_FAILURES" ("failures") Is("7"), count;
            "failures in a row after which an endpoint is set aside"; "Seldom reached by chance: at 10 % failures once in ten million";
        breaker_success_rate: f64 = "WEFT_BREAKER_SUCCESS_RATE" ("ratio") Is("0.8"), ratio;
            "an endpoint is set aside when a smaller share of its answers succeeds, and the other endpoints together are above it; 0 turns this off";
            "Linkerd's threshold; where all fail alike it is not the endpoint, and nobody is set aside";
        breaker_window: Duration = "WEFT_BREAKER_WINDOW" ("duration") Is("10s"), duration;
            "over how long that share is taken"; "Long enough for a share of something, short enough to act within seconds";
        breaker_answers: usize = "WEFT_BREAKER_ANSWERS" ("answers") Is("50"), count;
            "of how many answers that share is taken at least, the endpoint's and the others'";
            "At 5 % failures by chance, one endpoint in 30,000 would have so many in fifty";
        breaker_penalty_least: Duration = "WEFT_BREAKER_PENALTY_LEAST" ("duration") Is("1s"), duration;
            "how long an endpoint is set aside the first time; it doubles each time after"; "A restart takes about so long";
        breaker_penalty_most: Duration = "WEFT_BREAKER_PENALTY_MOST" ("duration") Is("1m"), duration;
            "the longest that an endpoint is set aside"; "A healed endpoint is back within a minute";
        breaker_jitter: f64 = "WEFT_BREAKER_JITTER" ("ratio") Is("0.5"), ratio;
            "how much a penalty is lengthened by chance, as a share of it"; "Proxies that set an endpoint aside together must not try it together";
        retry_ratio: f64 = "WEFT_RETRY_RATIO" ("ratio") Is("0.2"), ratio;
            "retries per request of a destination, of either kind of retry";
            "In an outage, load grows by at most a fifth per hop";
        retry_floor: f64 = "WEFT_RETRY_FLOOR" ("per second") Is("1"), rate;
            "retries a second that a destination is allowed whatever its traffic"; "A destination with little traffic earns no credit";
    }
}

settings! {
    /// Logs, metrics and traces.
    pub struct Observing("Logs, metrics and traces") {
        access_log: Option<AccessLogFormat> = "WEFT_ACCESS_LOG" ("off|json|common") Is("off"), access_log;
            "whether and how each request and connection is written to stdout"; "A line a request costs more than the request";
        access_log_queue: usize = "WEFT_ACCESS_LOG_QUEUE" ("lines") Is("8192"), count;
            "lines of the access log that wait to be written; more are dropped and counted"; "Some tenths of a second at full speed";
        log_level: Targets = "WEFT_LOG" ("level") Is("info"), log_level;
            "what the proxy writes about itself to stderr: a level, or a list as info,weft_proxy::mesh=debug"; "State changes and what needs doing";
        log_format: LogFormat = "WEFT_LOG_FORMAT" ("text|json") Is("text"), log_format;
            "how these lines look"; "People read first";
        series_limit: usize = "WEFT_SERIES_LIMIT" ("label sets") Is("1000"), count;
            "sets of labels that the families of requests, TCP and destinations may grow to each; what is beyond is counted under the label value overflow, unless sets that were not used for 15 minutes make room";
            "A scrape of at most some MiB; clients and routes decide how many there are, so there must be an end";
        otlp: Option<HostPort> = "WEFT_OTLP_ENDPOINT" ("URL") Unset, |text| optional(text, collector);
            "where spans are sent of requests whose callers trace them (W3C `traceparent`), as http://collector.observability:4318; by OTLP over HTTP with protobuf, to /v1/traces";
            "Who has no collector has nothing to send to; `traceparent` and `tracestate` are passed on as they are in either case";
        trace_ratio: f64 = "WEFT_TRACE_RATIO" ("ratio") Is("1"), ratio;
            "of which share of the traces that callers sample spans are sent; every proxy chooses the same traces";
            "The callers have chosen already";
    }
}
