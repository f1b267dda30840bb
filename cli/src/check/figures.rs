//! Single figures out of Prometheus' text format.

/// The value of the first series of a family.
pub fn value(text: &str, family: &str) -> Option<f64> {
    series(text, family)?.rsplit_once(' ')?.1.parse().ok()
}

/// The value of a label of the first series of a family.
pub fn label<'a>(text: &'a str, family: &str, label: &str) -> Option<&'a str> {
    let (labels, _) = series(text, family)?.split_once('{')?.1.split_once('}')?;
    let (_, after) = labels.split_once(&format!("{label}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

fn series<'a>(text: &'a str, family: &str) -> Option<&'a str> {
    let of_family = |line: &&str| line.strip_prefix(family).is_some_and(|rest| rest.starts_with([' ', '{']));
    text.lines().find(of_family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_not_taken_for_one_whose_name_it_begins() {
        let text = "# HELP a x\na_total 3\na{version=\"0.1.0\",b=\"c\"} 1\n";
        assert_eq!(value(text, "a"), Some(1.0));
        assert_eq!(value(text, "a_total"), Some(3.0));
        assert_eq!(label(text, "a", "version"), Some("0.1.0"));
        assert_eq!((value(text, "b"), label(text, "a_total", "version")), (None, None));
    }
}
