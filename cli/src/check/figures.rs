//! Single figures out of Prometheus' text format.

/// The value of the first series of a family.
pub fn value(text: &str, family: &str) -> Option<f64> {
    series(text, family).next()?.rsplit_once(' ')?.1.parse().ok()
}

/// The value of a label of a series.
pub fn label<'a>(series: &'a str, label: &str) -> Option<&'a str> {
    let (labels, _) = series.split_once('{')?.1.split_once('}')?;
    let (_, after) = labels.split_once(&format!("{label}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

/// The series of a family, one a line.
pub fn series<'a>(text: &'a str, family: &str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with([' ', '{'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_not_taken_for_one_whose_name_it_begins() {
        let text = "# HELP a x\na_total 3\na{version=\"0.1.0\",b=\"c\"} 1\n";
        assert_eq!(value(text, "a"), Some(1.0));
        assert_eq!(value(text, "a_total"), Some(3.0));
        let version = |family| label(series(text, family).next()?, "version");
        assert_eq!(version("a"), Some("0.1.0"));
        assert_eq!((value(text, "b"), version("a_total")), (None, None));
    }
}
