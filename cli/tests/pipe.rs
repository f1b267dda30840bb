//! Standard output that nobody reads any more, as behind `| head`.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut weft = Command::new(env!("CARGO_BIN_EXE_weft"));
    let weft = weft.arg("install").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = weft.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
