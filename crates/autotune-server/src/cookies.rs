//! The cookies of a session, as far as one host needs them. Pure.
//!
//! `Path` and `Domain` mean nothing here: there is one host, and all that is asked
//! of it is one app's. `Secure` does not keep a cookie back either: in production
//! the connection to the server comes from a proxy that speaks TLS.

use autotune_model::Secret;

/// Cookies with their values, in the order in which they were set.
pub(crate) type Cookies = Vec<(String, Secret<String>)>;

/// Takes in one `Set-Cookie` header (RFC 6265, section 5.2): sets a cookie, or
/// removes the one that it says has expired. `now_s` is in seconds since 1970.
pub(crate) fn set(cookies: &mut Cookies, header: &str, now_s: i64) {
    let mut parts = header.split(';');
    let pair = parts.next().unwrap_or_default();
    let Some((name, value)) = pair.split_once('=') else {
        return;
    };
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || header.chars().any(char::is_control) {
        return;
    }
    let place = cookies.iter().position(|(one, _)| one == name);
    let value = Secret::new(value.to_owned());
    match (has_expired(parts, now_s), place) {
        (true, Some(place)) => drop(cookies.remove(place)),
        (true, None) => {}
        (false, Some(place)) => cookies[place].1 = value,
        (false, None) => cookies.push((name.to_owned(), value)),
    }
}

/// `Max-Age` goes before `Expires`; what cannot be read is as good as not there.
fn has_expired<'a>(attributes: impl Iterator<Item = &'a str>, now_s: i64) -> bool {
    let (mut by_age, mut by_date) = (None, None);
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').unwrap_or_default();
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => by_age = value.trim().parse::<i64>().ok().map(|age| age <= 0),
            "expires" => by_date = date_s(value).map(|date| date <= now_s),
            _ => {}
        }
    }
    by_age.or(by_date).unwrap_or(false)
}

/// `Thu, 01 Jan 1970 00:00:00 GMT`, also with `-` within the date.
fn date_s(text: &str) -> Option<i64> {
    let text = text.trim().replace('-', " ");
    let date = jiff::fmt::rfc2822::parse(&text).ok()?;
    Some(date.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026.
    const NOW_S: i64 = 1_780_000_000;

    fn check(headers: &[&str], expected: &[(&str, &str)]) {
        let mut cookies = Cookies::new();
        for header in headers {
            set(&mut cookies, header, NOW_S);
        }
        let found: Vec<(&str, &str)> = cookies
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose().as_str()))
            .collect();
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn cookies_are_set_and_set_anew() {
        check(&["a=1"], &[("a", "1")]);
        check(
            &["session=.eJw=; HttpOnly; Path=/x; Secure; SameSite=Lax"],
            &[("session", ".eJw=")],
        );
        check(&["a=1", "b=2", "a=3"], &[("a", "3"), ("b", "2")]);
        check(&[" a = 1 "], &[("a", "1")]);
        check(&["a="], &[("a", "")]);
        check(&["a", "=1", "", "a=1\u{7}"], &[]);
    }

    #[test]
    fn what_has_expired_is_removed() {
        check(&["a=1", "a=; Max-Age=0"], &[]);
        check(&["a=1", "a=; max-age=-1; Path=/"], &[]);
        check(&["a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], &[]);
        check(&["a=1", "a=; expires=Thu, 01-Jan-1970 00:00:00 GMT"], &[]);
        check(&["b=1", "a=; Max-Age=0"], &[("b", "1")]);
        check(&["a=1; Max-Age=60"], &[("a", "1")]);
        check(
            &["a=1; Expires=Fri, 31 Dec 2100 23:59:59 GMT"],
            &[("a", "1")],
        );
        // Max-Age decides.
        let both = "a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        check(&[both], &[("a", "1")]);
        check(&["a=1; Expires=soon; Max-Age=x"], &[("a", "1")]);
    }
}
