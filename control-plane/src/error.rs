//! Errors as one line of text, for logs and for answers.

/// An error and what caused it, from the outside in. A cause that the error before it has quoted already is not repeated.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("not reached: {0}")]
    struct Quoting(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("not watched")]
    struct Plain(#[source] Quoting);

    #[test]
    fn every_cause_is_named_once() {
        let error = Plain(Quoting(io::Error::other("reset")));
        assert_eq!(chain(&error), "not watched: not reached: reset");
    }
}
