//! Whether a text occurs in a body that comes in pieces. Nothing of the body is
//! kept: the state is one number, so a piece may end anywhere.

/// What is looked for, prepared once. Algorithm: Knuth, Morris, Pratt, "Fast
/// pattern matching in strings", SIAM J. Comput. 6 (1977).
#[derive(Debug)]
pub(crate) struct Needle {
    bytes: Box<[u8]>,
    /// For each length of a partial match: the longest shorter one that ends at
    /// the same byte.
    fallback: Box<[usize]>,
}

/// How much of the needle the end of the body so far has matched; the whole of
/// it once found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched(usize);

impl Needle {
    /// Prepares this text.
    pub(crate) fn new(text: &str) -> Self {
        let bytes: Box<[u8]> = text.as_bytes().into();
        let mut fallback = vec![0; bytes.len() + 1];
        let mut length = 0;
        for at in 1..bytes.len() {
            while length > 0 && bytes[at] != bytes[length] {
                length = fallback[length];
            }
            length += usize::from(bytes[at] == bytes[length]);
            fallback[at + 1] = length;
        }
        Self {
            bytes,
            fallback: fallback.into(),
        }
    }

    /// Whether it has been found.
    pub(crate) fn found(&self, matched: Matched) -> bool {
        matched.0 == self.bytes.len()
    }

    /// Goes on with the next piece of the body.
    pub(crate) fn advance(&self, matched: &mut Matched, piece: &[u8]) {
        for byte in piece {
            if self.found(*matched) {
                return;
            }
            while matched.0 > 0 && *byte != self.bytes[matched.0] {
                matched.0 = self.fallback[matched.0];
            }
            matched.0 += usize::from(*byte == self.bytes[matched.0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Two letters, so that needles overlap with themselves.
        #[test]
        fn agrees_with_the_plain_search_for_every_split(
            text in "[ab]{0,40}",
            needle in "[ab]{0,6}",
            cut in 0usize..41,
        ) {
            let cut = cut.min(text.len());
            let prepared = Needle::new(&needle);
            let mut matched = Matched::default();
            prepared.advance(&mut matched, &text.as_bytes()[..cut]);
            prepared.advance(&mut matched, &text.as_bytes()[cut..]);
            prop_assert_eq!(prepared.found(matched), text.contains(&needle));
        }
    }
}
