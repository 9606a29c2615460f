//! What language a text is in: the crate `whatlang` (trigrams and scripts), with ISO 639-1 tags.

/// The likeliest language and how sure that is, 0 to 1; `None` where there are no letters. Short texts are guessed with
/// little confidence: a caller that drops by language should ask for some.
pub fn detect(text: &str) -> Option<(&'static str, f64)> {
    // The beginning is enough, and a long text takes as long as it is.
    let end = text.char_indices().nth(2000).map_or(text.len(), |(end, _)| end);
    let info = whatlang::detect(&text[..end])?;
    let code = info.lang().code();
    Some((short(code).unwrap_or(code), info.confidence()))
}

/// ISO 639-1 for the codes of ISO 639-3 that `whatlang` gives.
fn short(code: &str) -> Option<&'static str> {
    TAGS.iter().find(|(long, _)| *long == code).map(|(_, short)| *short)
}

const TAGS: &[(&str, &str)] = &[
    ("epo", "eo"),
    ("eng", "en"),
    ("rus", "ru"),
    ("cmn", "zh"),
    ("spa", "es"),
    ("por", "pt"),
    ("ita", "it"),
    ("ben", "bn"),
    ("fra", "fr"),
    ("deu", "de"),
    ("ukr", "uk"),
    ("kat", "ka"),
    ("ara", "ar"),
    ("hin", "hi"),
    ("jpn", "ja"),
    ("heb", "he"),
    ("yid", "yi"),
    ("pol", "pl"),
    ("amh", "am"),
    ("jav", "jv"),
    ("kor", "ko"),
    ("nob", "nb"),
    ("dan", "da"),
    ("swe", "sv"),
    ("fin", "fi"),
    ("tur", "tr"),
    ("nld", "nl"),
    ("hun", "hu"),
    ("ces", "cs"),
    ("ell", "el"),
    ("bul", "bg"),
    ("bel", "be"),
    ("mar", "mr"),
    ("kan", "kn"),
    ("ron", "ro"),
    ("slv", "sl"),
    ("hrv", "hr"),
    ("srp", "sr"),
    ("mkd", "mk"),
    ("lit", "lt"),
    ("lav", "lv"),
    ("est", "et"),
    ("tam", "ta"),
    ("vie", "vi"),
    ("urd", "ur"),
    ("tha", "th"),
    ("guj", "gu"),
    ("uzb", "uz"),
    ("pan", "pa"),
    ("aze", "az"),
    ("ind", "id"),
    ("tel", "te"),
    ("pes", "fa"),
    ("mal", "ml"),
    ("ori", "or"),
    ("mya", "my"),
    ("nep", "ne"),
    ("sin", "si"),
    ("khm", "km"),
    ("tuk", "tk"),
    ("aka", "ak"),
    ("zul", "zu"),
    ("sna", "sn"),
    ("afr", "af"),
    ("lat", "la"),
    ("slk", "sk"),
    ("cat", "ca"),
    ("tgl", "tl"),
    ("hye", "hy"),
    ("cym", "cy"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_sentences() {
        let check = |text: &str, expected: &str| {
            let (found, confidence) = detect(text).expect("letters");
            assert!(found == expected && confidence > 0.2, "{text}: {found} {confidence}");
        };
        check(
            "Which of these two books would you recommend to somebody who has never read anything about the history of science, and what is it that you like about the way in which it was written?",
            "en",
        );
        check(
            "Die Kinder spielten im Garten, während ihre Mutter die Zeitung gelesen hat und der Hund unter dem Tisch schlief.",
            "de",
        );
        check("Los niños jugaban en el jardín mientras su madre leía el periódico.", "es");
        check("Дети играли в саду, пока их мать читала газету.", "ru");
        check("これは日本語の文章です。", "ja");
        assert_eq!(detect("1234 !?"), None);
        assert_eq!(detect(""), None);
    }
}
