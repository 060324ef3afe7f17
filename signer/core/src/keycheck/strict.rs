//! A reader of DER that accepts nothing else (X.690 sections 8 to 11): definite and shortest lengths, primitive
//! strings, shortest integers and object identifiers, sorted sets. The `der` crate decodes on top of it; this walk
//! also covers what that crate leaves unread inside values of type ANY.

use crate::error::Error;

const PERMITTED: &str = "strict DER (X.690), as `openssl asn1parse` shows without complaint";

/// One tag-length-value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    /// The identifier octet; no permitted structure needs tag numbers above 30.
    pub(crate) tag: u8,
    /// Identifier, length and contents, as received.
    pub(crate) whole: &'a [u8],
    /// The contents.
    pub(crate) value: &'a [u8],
}

/// Takes the first element off `bytes`; answers with it and what follows.
pub(crate) fn split<'a>(field: &str, bytes: &'a [u8]) -> Result<(Element<'a>, &'a [u8]), Error> {
    let bad = |found: &str| Error::malformed(field, found, PERMITTED);
    let (&tag, after_tag) = bytes.split_first().ok_or_else(|| bad("the end of the data"))?;
    if tag & 0x1f == 0x1f {
        return Err(bad("a tag number above 30"));
    }
    let (&first, after_first) = after_tag.split_first().ok_or_else(|| bad("a missing length"))?;
    let (length, body) = match first {
        0..=0x7f => (usize::from(first), after_first),
        0x80 => return Err(bad("an indefinite length (BER)")),
        0x81..=0x84 => long_length(usize::from(first & 0x7f), after_first).map_err(bad)?,
        _ => return Err(bad("a length of more than 4 octets")),
    };
    let (value, rest) = body
        .split_at_checked(length)
        .ok_or_else(|| bad("a length that runs beyond the data"))?;
    let (whole, _) = bytes
        .split_at_checked(bytes.len() - rest.len())
        .ok_or_else(|| bad("a length that runs beyond the data"))?;
    Ok((Element { tag, whole, value }, rest))
}

fn long_length(octets: usize, bytes: &[u8]) -> Result<(usize, &[u8]), &'static str> {
    let (digits, body) = bytes.split_at_checked(octets).ok_or("a truncated length")?;
    let length = digits.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
    if length < 0x80 || digits.first() == Some(&0) {
        return Err("a length that is not in its shortest form (BER)");
    }
    Ok((length, body))
}

/// The elements directly inside `value`, in order.
pub(crate) fn children<'a>(field: &str, mut value: &'a [u8]) -> Result<Vec<Element<'a>>, Error> {
    let mut found = Vec::new();
    while !value.is_empty() {
        let (element, rest) = split(field, value)?;
        found.push(element);
        value = rest;
    }
    Ok(found)
}

/// Checks that `bytes` are exactly one element, strict DER down to `max_depth` levels.
///
/// # Errors
/// Naming `field` and the first thing that is not DER.
pub(crate) fn check<'a>(field: &str, bytes: &'a [u8], max_depth: usize) -> Result<Element<'a>, Error> {
    let (element, rest) = split(field, bytes)?;
    if !rest.is_empty() {
        let found = format!("{} trailing bytes", rest.len());
        return Err(Error::malformed(field, found, PERMITTED));
    }
    check_element(field, element, max_depth)?;
    Ok(element)
}

fn check_element(field: &str, element: Element<'_>, depth_left: usize) -> Result<(), Error> {
    let bad = |found: &str| Error::malformed(field, found, PERMITTED);
    if element.tag & 0x20 == 0 {
        // Universal primitive types have rules of their own; of context-specific ones only the reader knows the type.
        return if element.tag & 0xc0 == 0 {
            primitive(element).map_err(bad)
        } else {
            Ok(())
        };
    }
    if element.tag & 0xc0 == 0 && !matches!(element.tag, 0x30 | 0x31) {
        return Err(bad("a string in pieces (BER)"));
    }
    let depth_left = depth_left
        .checked_sub(1)
        .ok_or_else(|| bad("values nested too deeply"))?;
    let inner = children(field, element.value)?;
    // X.690 section 11.6: the elements of a SET OF are in ascending order of their encodings.
    if element.tag == 0x31 && !inner.is_sorted_by(|a, b| a.whole <= b.whole) {
        return Err(bad("a SET whose elements are not in order"));
    }
    inner
        .into_iter()
        .try_for_each(|child| check_element(field, child, depth_left))
}

fn primitive(element: Element<'_>) -> Result<(), &'static str> {
    let ok = match (element.tag, element.value) {
        // X.690 section 11.1
        (0x01, value) => matches!(value, [0x00 | 0xff]),
        // X.690 section 8.3.2, INTEGER and ENUMERATED: the first nine bits are neither all zero nor all one
        (0x02 | 0x0a, value) => match value {
            [] => false,
            [0x00, second, ..] => second & 0x80 != 0,
            [0xff, second, ..] => second & 0x80 == 0,
            _ => true,
        },
        // X.690 sections 8.6.2 and 11.2.1
        (0x03, value) => match value {
            [unused] => *unused == 0,
            [unused @ 0..=7, .., last] => last & ((1u8 << unused) - 1) == 0,
            _ => false,
        },
        (0x05, value) => value.is_empty(),
        (0x06, value) => is_object_identifier(value),
        (0x00 | 0x10 | 0x11, _) => return Err("a tag that has no primitive form"),
        _ => true,
    };
    if ok {
        Ok(())
    } else {
        Err(match element.tag {
            0x01 => "a BOOLEAN that is neither 00 nor FF",
            0x02 | 0x0a => "an INTEGER that is empty or not in its shortest form",
            0x03 => "a BIT STRING with wrong unused bits",
            0x05 => "a NULL with contents",
            _ => "an OBJECT IDENTIFIER that is empty, cut off or not in its shortest form",
        })
    }
}

/// X.690 section 8.19.2: every subidentifier ends with a clear top bit and does not begin with 0x80.
fn is_object_identifier(value: &[u8]) -> bool {
    let mut at_start = true;
    for byte in value {
        if at_start && *byte == 0x80 {
            return false;
        }
        at_start = byte & 0x80 == 0;
    }
    at_start && !value.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(bytes: &[u8]) -> bool {
        check("test", bytes, 3).is_ok()
    }

    #[test]
    fn what_is_not_der_is_refused() {
        for good in [
            &[0x30, 0x00][..],
            &[0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02],
            &[0x02, 0x02, 0x00, 0x80],
            &[0x03, 0x01, 0x00],
            &[0x03, 0x02, 0x05, 0xa0],
            &[0x06, 0x03, 0x2b, 0x81, 0x00],
            &[0x01, 0x01, 0xff],
        ] {
            assert!(accepts(good), "{good:02x?}");
        }
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0x80, 0x00, 0x00],
            &[0x30, 0x81, 0x00],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x30, 0x01],
            &[0x30, 0x00, 0x00],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x1f, 0x81, 0x00, 0x00],
            &[0x24, 0x00],
            &[0x10, 0x00],
            &[0x02, 0x00],
            &[0x02, 0x02, 0x00, 0x7f],
            &[0x02, 0x02, 0xff, 0x80],
            &[0x03, 0x00],
            &[0x03, 0x01, 0x01],
            &[0x03, 0x02, 0x08, 0x00],
            &[0x03, 0x02, 0x01, 0x01],
            &[0x05, 0x01, 0x00],
            &[0x06, 0x00],
            &[0x06, 0x02, 0x80, 0x01],
            &[0x06, 0x01, 0x81],
            &[0x01, 0x01, 0x01],
            &[0x31, 0x06, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01],
        ] {
            assert!(!accepts(bad), "{bad:02x?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(accepts(&[0x30, 0x04, 0x30, 0x02, 0x30, 0x00]));
        assert!(!accepts(&[0x30, 0x06, 0x30, 0x04, 0x30, 0x02, 0x30, 0x00]));
    }
}
