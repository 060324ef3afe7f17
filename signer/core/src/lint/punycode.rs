//! A-labels: whether `xn--...` is the one encoding of a label that needs it (RFC 5890 section 2.3.2.1, RFC 3492).

/// Parameters of Punycode for internationalised names (RFC 3492 section 5).
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// Whether a label in lower case may stand in a name: an ordinary one, or a canonical A-label. Hyphens as third and
/// fourth character are reserved for encodings, and `xn--` is the only one there is (RFC 5891 section 4.2.3.1).
pub(super) fn is_label(label: &str) -> bool {
    match label.get(..4).map(str::to_ascii_lowercase).as_deref() {
        Some("xn--") => label.get(4..).is_some_and(is_canonical),
        Some(start) => !start.ends_with("--"),
        None => true,
    }
}

/// Whether the part after `xn--` decodes to a label that is not ASCII, without what no label of IDNA2008 has
/// (RFC 5892 section 2.6: capitals, spaces, controls), and encodes to the same again.
fn is_canonical(encoded: &str) -> bool {
    let Some(label) = decode(encoded) else { return false };
    let fits = |c: &char| !c.is_uppercase() && !c.is_whitespace() && !c.is_control();
    label.iter().all(fits) && !label.iter().all(char::is_ascii) && encode(&label).as_deref() == Some(encoded)
}

fn threshold(k: u32, bias: u32) -> u32 {
    k.saturating_sub(bias).clamp(T_MIN, T_MAX)
}

/// RFC 3492 section 6.1.
fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points.max(1);
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

/// RFC 3492 section 6.2; `None` for what encodes nothing. A label is short, so is the work.
fn decode(encoded: &str) -> Option<Vec<char>> {
    let (basic, extended) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    let mut output: Vec<char> = basic.chars().collect();
    if extended.is_empty() || encoded.len() > 59 || !encoded.is_ascii() {
        return None;
    }
    let (mut n, mut i, mut bias) = (INITIAL_N, 0_u32, INITIAL_BIAS);
    let mut digits = extended.chars().map(|c| c.to_digit(36).map(digit_of)).peekable();
    while digits.peek().is_some() {
        let (before, mut weight, mut k) = (i, 1_u32, BASE);
        loop {
            let digit = digits.next()??;
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let t = threshold(k, bias);
            if digit < t {
                break;
            }
            weight = weight.checked_mul(BASE - t)?;
            k += BASE;
        }
        let points = u32::try_from(output.len()).ok()?.checked_add(1)?;
        bias = adapt(i - before, points, before == 0);
        n = n.checked_add(i / points)?;
        i %= points;
        output.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(output)
}

/// RFC 3492 section 6.3; `None` on overflow.
fn encode(label: &[char]) -> Option<String> {
    let mut output: String = label.iter().filter(|c| c.is_ascii()).collect();
    let basic = u32::try_from(output.len()).ok()?;
    if basic > 0 {
        output.push('-');
    }
    let (mut n, mut delta, mut bias, mut done) = (INITIAL_N, 0_u32, INITIAL_BIAS, basic);
    while usize::try_from(done).ok()? < label.len() {
        let next = label.iter().map(|c| u32::from(*c)).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(done + 1)?)?;
        n = next;
        for c in label.iter().map(|c| u32::from(*c)) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c == n {
                push_number(&mut output, delta, bias)?;
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(output)
}

/// A generalised variable-length integer (RFC 3492 section 3.3).
fn push_number(output: &mut String, number: u32, bias: u32) -> Option<()> {
    let (mut q, mut k) = (number, BASE);
    loop {
        let t = threshold(k, bias);
        if q < t {
            output.push(char_of(q)?);
            return Some(());
        }
        output.push(char_of(t + (q - t) % (BASE - t))?);
        q = (q - t) / (BASE - t);
        k += BASE;
    }
}

/// The value of a digit: in Punycode letters come first, then numerals; `to_digit` has them the other way round.
const fn digit_of(base36: u32) -> u32 {
    if base36 >= 10 { base36 - 10 } else { base36 + 26 }
}

fn char_of(digit: u32) -> Option<char> {
    char::from_digit(if digit < 26 { digit + 10 } else { digit - 26 }, 36)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_labels_are_known() {
        for (unicode, encoded) in [
            ("bücher", "bcher-kva"),
            ("münchen", "mnchen-3ya"),
            ("ü", "tda"),
            ("例え", "r8jz45g"),
            ("правда", "80aafi6cg"),
            ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
        ] {
            let label: Vec<char> = unicode.chars().collect();
            assert_eq!(encode(&label).as_deref(), Some(encoded));
            assert_eq!(decode(encoded), Some(label));
            assert!(is_label(&format!("xn--{encoded}")), "{unicode}");
        }
    }

    #[test]
    fn what_is_no_a_label_is_refused() {
        for bad in [
            "xn--",
            "xn--a",
            "xn--abc-",       // ASCII alone needs no encoding
            "xn--bcher-kvaa", // another encoding, or none
            "xn--Bcher-kva",
            "xn--999999999",
            "xn--a-ecp", // decodes to a capital
            "ab--cd",
            "--ab",
        ] {
            assert!(!is_label(bad), "{bad}");
        }
        for good in ["a", "ab", "a-b", "a--b", "xn", "abc--d", "node-1"] {
            assert!(is_label(good), "{good}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(label in proptest::collection::vec(any::<char>(), 1..12)) {
            if let Some(encoded) = encode(&label).filter(|e| e.len() <= 59 && label.iter().any(|c| !c.is_ascii())) {
                prop_assert_eq!(decode(&encoded), Some(label));
            }
        }

        #[test]
        fn any_text_has_an_answer(text in "[a-z0-9-]{0,63}") {
            let _ = is_label(&format!("xn--{text}"));
        }
    }
}
