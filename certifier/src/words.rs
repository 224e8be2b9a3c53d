//! Closed lists of words: groups, levels, capabilities. Each is an enum, a set of names on the command line, and a sentence.

/// Declares an enum whose variants are known by a word and explained by a sentence.
macro_rules! words {
    ($(#[$about:meta])* $name:ident: $kind:literal { $($variant:ident = $word:literal, $says:literal;)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $says] $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it on the command line and in reports.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What it means.
            pub fn says(self) -> &'static str {
                match self { $(Self::$variant => $says),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|known| known.word() == word);
                found.ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|known| known.word()).collect();
                    format!("no such {}; there are {}", $kind, words.join(", "))
                })
            }
        }
    };
}

pub(crate) use words;
