use super::*;

/// Decodes the whole input in pieces of `step` bytes: data, trailers, and what was left over.
fn decoded(input: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, usize), ChunkError> {
    let mut decoder = ChunkDecoder::new(&Limits::default());
    let (mut data, mut at) = (Vec::new(), 0);
    while at < input.len() {
        let piece = &input[at..input.len().min(at + step)];
        let found = decoder.decode(piece, usize::MAX)?;
        data.extend_from_slice(&piece[found.data]);
        at += found.used;
        if found.over {
            return Ok((data, decoder.trailers().to_vec(), input.len() - at));
        }
    }
    panic!("the body does not end");
}

#[test]
fn a_body_is_decoded_and_the_next_message_left_alone() {
    let input = b"4;a=\"b\"\r\nWiki\r\n05 ;x\r\npedia\r\n00\r\nX-Sum: 1\r\n\r\nGET /";
    let expected = (b"Wikipedia".to_vec(), b"X-Sum: 1\r\n".to_vec(), 5);
    for step in 1..input.len() {
        assert_eq!(decoded(input, step).unwrap(), expected, "{step}");
    }
}

#[test]
fn a_malformed_body_is_refused() {
    let size = ChunkError::Size;
    let cases: &[(&[u8], ChunkError)] = &[
        (b"\r\n", size),
        (b"g\r\n", size),
        (b"-1\r\n", size),
        (b"+1\r\n", size),
        (b"0x1\r\n", size),
        (b" 1\r\n", size),
        (b"1 \r\n", size),
        (b"1\t1\r\n", size),
        (b"1\n", size),
        (b";a\r\n", size),
        (b"ffffffffffffffff\r\n", size),
        (b"00000000000000000000001\r\n", size),
        (b"1\rx", ChunkError::LineEnd),
        (b"1;a\n", ChunkError::Extension),
        (b"1;a\rb", ChunkError::LineEnd),
        (b"1;\0\r\n", ChunkError::Extension),
        (b"1\r\naa", ChunkError::LineEnd),
        (b"1\r\na\n", ChunkError::LineEnd),
        (b"1\r\na\rx", ChunkError::LineEnd),
        (b"0\r\nx: y\n\r\n", ChunkError::LineEnd),
        (b"0\r\n\n", ChunkError::LineEnd),
        (b"0\r\nx: y\rz", ChunkError::LineEnd),
    ];
    for (input, error) in cases {
        assert_eq!(decoded(input, input.len()).unwrap_err(), *error, "{:?}", input.escape_ascii().to_string());
    }
    for trailer in ["x", " x: y", "x : y", "x: \0", ": y", "x: y\r\n z"] {
        let input = format!("0\r\n{trailer}\r\n\r\n");
        assert!(matches!(decoded(input.as_bytes(), 1), Err(ChunkError::Trailers(_))), "{trailer:?}");
    }
}

#[test]
fn the_extras_of_a_body_are_limited() {
    let limits = Limits { extension_bytes: 8, trailer_bytes: 16, ..Limits::default() };
    let decode = |input: &str| ChunkDecoder::new(&limits).decode(input.as_bytes(), 1).map(|_| ());
    assert_eq!(decode("1;2345678\r\na"), Ok(()));
    assert_eq!(decode("1;23456789\r\na"), Err(ChunkError::Extension));
    assert_eq!(decode("1         ;\r\na"), Err(ChunkError::Extension));
    assert_eq!(decode("0\r\nx: 3456789012345\r\n\r\n"), Ok(()));
    assert_eq!(decode("0\r\nx: 34567890123456789\r\n\r\n"), Err(ChunkError::TrailersTooLong));
    let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert!(matches!(decoded(many.as_bytes(), 7), Err(ChunkError::Trailers(_))));
}

#[test]
fn trailers_that_frame_route_or_are_ours_are_dropped_both_ways() {
    let lines = b"Sum: 1\r\nWeft-Client-Identity: x\r\nweft_a: y\r\nContent-Length: 5\r\nHost: b\r\nTransfer-Encoding: chunked\r\nConnection: sum\r\nTE: x\r\nUpgrade: y\r\nsum: 2\r\n";
    let body = [b"0\r\n", &lines[..], b"\r\n"].concat();
    assert_eq!(decoded(&body, 3).unwrap().1, b"Sum: 1\r\nsum: 2\r\n");
    let mut out = Vec::new();
    write_last_chunk(lines, &mut out).unwrap();
    assert_eq!(out, b"0\r\nSum: 1\r\nsum: 2\r\n\r\n");
}

#[test]
fn hostile_trailers_are_not_written() {
    for lines in [
        "x: y",
        "x: y\n",
        "x: y\r\n\r\n",
        "\r\n",
        "x: y\rz: 1\r\n",
        "x: y\n\r\n",
        "x: y\r\r\n",
        "x\r\n",
        "x: y\r\n\r\nGET / HTTP/1.1\r\n",
    ] {
        let mut out = b"before".to_vec();
        assert!(write_last_chunk(lines.as_bytes(), &mut out).is_err(), "{lines:?}");
        assert_eq!(out, b"before");
    }
}

#[test]
fn no_more_data_is_given_than_asked_for() {
    let mut decoder = ChunkDecoder::new(&Limits::default());
    let input = b"6\r\nabcdef\r\n0\r\n\r\n";
    assert_eq!(decoder.decode(input, 4).unwrap(), Decoded { used: 7, data: 3..7, over: false });
    assert_eq!(decoder.decode(&input[7..], 0).unwrap(), Decoded { used: 0, data: 0..0, over: false });
    assert_eq!(decoder.decode(&input[7..], 4).unwrap(), Decoded { used: 2, data: 0..2, over: false });
    assert_eq!(decoder.decode(&input[9..], 4).unwrap(), Decoded { used: 7, data: 0..0, over: true });
    assert_eq!(decoder.decode(b"", 4).unwrap(), Decoded { used: 0, data: 0..0, over: true });
}
