"""Makes all kinds of call to grpc-go's interoperability server. Messages are written out: see grpc/testing/messages.proto."""

import sys
import threading

import grpc

SIZE = 4_000_000 - 20  # just below the most that gRPC takes by default


def varint(number):
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(number, value):
    """A field of a message: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def payload(size):
    return field(2, bytes(size))


def streaming(*sizes, body=b""):
    """StreamingOutputCallRequest: what to answer with, and a payload."""
    return b"".join(field(2, field(1, size)) for size in sizes) + field(3, body)


def error_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the error was lost")


def main():
    channel = grpc.insecure_channel(sys.argv[1])
    service = "/grpc.testing.TestService/"
    unary = channel.unary_unary(service + "UnaryCall")
    output = channel.unary_stream(service + "StreamingOutputCall")
    collect = channel.stream_unary(service + "StreamingInputCall")
    duplex = channel.stream_stream(service + "FullDuplexCall")

    answer = unary(field(2, SIZE) + field(3, payload(SIZE)), timeout=60)
    assert len(answer) > SIZE, len(answer)
    sizes = [31415, 9, 2653, 58979]
    assert [len(answer) > size for answer, size in zip(output(streaming(*sizes), timeout=60), sizes, strict=True)] == [True] * 4
    answer = collect((field(1, payload(size)) for size in sizes), timeout=60)
    assert answer == field(1, sum(sizes)), answer
    assert sum(1 for _ in duplex((streaming(size, body=payload(size)) for size in sizes), timeout=60)) == 4

    metadata = (("x-grpc-test-echo-initial", "first"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab"))
    _, call = unary.with_call(field(2, 1), metadata=metadata, timeout=60)
    assert ("x-grpc-test-echo-initial", "first") in call.initial_metadata(), call.initial_metadata()
    assert ("x-grpc-test-echo-trailing-bin", b"\xab\xab") in call.trailing_metadata(), call.trailing_metadata()

    failed = error_of(lambda: unary(field(7, field(1, 2) + field(2, "no \u263a".encode())), timeout=60))
    assert (failed.code(), failed.details()) == (grpc.StatusCode.UNKNOWN, "no \u263a"), failed
    silent = threading.Event()
    late = error_of(lambda: next(duplex(iter(silent.wait, None), timeout=0.5)))
    silent.set()
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED, late
    print("all calls were answered")


main()
