//! A file of the control plane's folder: objects, or what is wrong and on which of its lines.
#![no_main]

use weft_control_plane::registry::file::read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    match read(bytes) {
        Ok(contents) => {
            let of_objects = contents.objects.iter().map(|(_, line)| *line);
            for line in of_objects.chain(contents.warnings.iter().map(|(line, _)| *line)) {
                assert!((1..=lines).contains(&line), "line {line} of {lines}");
            }
        }
        Err(broken) => assert!((1..=lines).contains(&broken.line()), "{broken:?} of {lines} lines"),
    }
});
