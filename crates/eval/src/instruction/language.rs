//! The language of a text, told by its script and its commonest words.
//!
//! Enough to see whether an answer that was asked for in a language is in it; no more. Languages that share a script with
//! others are told apart by function words, so a text without any is unknown.

/// The languages that are known, as ISO 639-1 calls them.
pub const KNOWN: &[&str] = &[
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "tr", "fi", "vi", "sw", "ru", "uk", "bg", "el", "ar", "fa",
    "ur", "he", "hi", "mr", "ne", "bn", "ta", "te", "kn", "gu", "pa", "th", "ko", "ja", "zh",
];

/// Function words of languages in Latin letters.
const LATIN: &[(&str, &str)] = &[
    (
        "en",
        "the of and to in is that it for was with as on be are this by not you have from at or an they which but his her we all there been their what would can will so if has who do no my your how about i he she me our",
    ),
    (
        "de",
        "der die das und in zu den ist nicht ein eine mit von für auf dem sich des im auch es an als bei nach wie aus wird werden oder sie ich wir haben hat sind war einen einer noch nur aber über wenn kann sehr",
    ),
    (
        "fr",
        "le la les de des et un une est que qui dans pour pas sur au avec ce il elle ne se par plus du nous vous je on sont mais ou où être été cette leur aux comme tout fait très sans ses",
    ),
    (
        "es",
        "el la los las de y que en un una es por con para no se su al lo como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo son está",
    ),
    (
        "it",
        "il la le gli i di e che un una è per non con si da del della sono in come ma anche più al nel alla questo ha lo su dei delle loro essere ci o se molto quando perché",
    ),
    (
        "pt",
        "o a os as de e que um uma é em para não com se do da no na por mais dos das como mas ao ele ela são foi sua seu também muito ou quando está isso você pelo até nos já eu",
    ),
    (
        "nl",
        "de het een en van is in dat op te zijn met voor niet aan er om ook als maar bij door naar over uit dan nog wel geen ik je hij ze we wordt kan heeft worden deze dit",
    ),
    (
        "sv",
        "och att det i en som på är av för med den till inte om ett han hon var de så men från vi jag har kan vid eller man när ska mycket också",
    ),
    (
        "pl",
        "i w na z do się nie to jest że o jak po co ale za od przez dla tym są był tak już tylko który może być czy oraz jego",
    ),
    (
        "tr",
        "ve bir bu da de için ile çok daha ne gibi en olarak ama o kadar olan var sonra ki mi değil her ya ben sen biz",
    ),
    (
        "fi",
        "ja on ei se että oli hän mutta ovat kun niin myös joka tai kuin sen jos vain ole mitä tämä voi olla minä sinä he",
    ),
    ("vi", "và là của một có không được trong cho những với các người này đã để khi từ ra đến cũng rất như tôi bạn"),
    ("sw", "na ya wa kwa ni za katika la kuwa hii yake au lakini sana kama pia huo hiyo watu cha mimi yeye"),
];

/// Function words of languages in Cyrillic letters.
const CYRILLIC: &[(&str, &str)] = &[
    (
        "ru",
        "и в не на что с он как это по но из у за то все так его к для же вы от мы она они быть был бы или если когда есть я о",
    ),
    (
        "uk",
        "і в не на що з він як це по але із у за то все так його до для ж ви від ми вона вони бути був або якщо коли є та я й",
    ),
    (
        "bg",
        "и в не на че с той как това по но от за то всички така неговия към са се да ще ли като или ако когато има съм аз",
    ),
];

/// The likeliest language; `None` when nothing tells.
pub fn guess(text: &str) -> Option<&'static str> {
    let letters: Vec<char> = text.chars().filter(|c| c.is_alphabetic()).collect();
    let has = |any_of: &str| letters.iter().any(|c| any_of.contains(*c));
    let mut shares = SCRIPTS.iter().map(|script| {
        let inside =
            letters.iter().filter(|&&c| script.ranges.iter().any(|&(low, high)| (low..=high).contains(&(c as u32))));
        (inside.count(), script.name)
    });
    // A Japanese text is mostly Chinese characters, but no Chinese text has kana.
    let kana = letters.iter().filter(|&&c| matches!(c as u32, 0x3040..=0x30FF)).count();
    let (count, script) = shares.by_ref().max_by_key(|&(count, _)| count)?;
    if count * 2 < letters.len() || count == 0 {
        return (kana * 10 > letters.len()).then_some("ja");
    }
    match script {
        "latin" => by_words(text, LATIN),
        "cyrillic" => by_words(text, CYRILLIC),
        "han" | "kana" => Some(if kana * 10 > letters.len() { "ja" } else { "zh" }),
        "arabic" if has("ےںٹڈ") => Some("ur"),
        "arabic" if has("پچژگ") => Some("fa"),
        "arabic" => Some("ar"),
        "devanagari" => by_words(text, DEVANAGARI).or(Some("hi")),
        other => Some(other),
    }
}

/// Function words of languages in Devanagari.
const DEVANAGARI: &[(&str, &str)] = &[
    ("hi", "है और के में की का से को यह नहीं हैं एक पर कि इस भी था जो हो ने तो वह"),
    ("mr", "आहे आणि च्या मध्ये ची चा हे नाही आहेत एक वर की या होते जे मी आपण ते साठी"),
    ("ne", "छ र को मा हो यो छन् एक लागि पनि थियो भने गर्न तर म हामी"),
];

/// The language whose function words occur most; `None` when no word of any does.
fn by_words(text: &str, languages: &[(&'static str, &str)]) -> Option<&'static str> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || (c.is_ascii_punctuation() && c != '\''))
        .filter(|w| !w.is_empty())
        .collect();
    let score = |list: &str| {
        let list: Vec<&str> = list.split(' ').collect();
        words.iter().filter(|word| list.contains(word)).count()
    };
    let mut best: (usize, Option<&'static str>) = (0, None);
    for (name, list) in languages {
        let score = score(list);
        // Of equals the first in the list: the more widely spoken.
        if score > best.0 {
            best = (score, Some(name));
        }
    }
    best.1
}

struct Script {
    name: &'static str,
    ranges: &'static [(u32, u32)],
}

const SCRIPTS: &[Script] = &[
    Script { name: "latin", ranges: &[(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)] },
    Script { name: "cyrillic", ranges: &[(0x400, 0x52F)] },
    Script { name: "el", ranges: &[(0x370, 0x3FF), (0x1F00, 0x1FFF)] },
    Script { name: "arabic", ranges: &[(0x600, 0x6FF), (0x750, 0x77F)] },
    Script { name: "he", ranges: &[(0x590, 0x5FF)] },
    Script { name: "devanagari", ranges: &[(0x900, 0x97F)] },
    Script { name: "bn", ranges: &[(0x980, 0x9FF)] },
    Script { name: "pa", ranges: &[(0xA00, 0xA7F)] },
    Script { name: "gu", ranges: &[(0xA80, 0xAFF)] },
    Script { name: "ta", ranges: &[(0xB80, 0xBFF)] },
    Script { name: "te", ranges: &[(0xC00, 0xC7F)] },
    Script { name: "kn", ranges: &[(0xC80, 0xCFF)] },
    Script { name: "th", ranges: &[(0xE00, 0xE7F)] },
    Script { name: "ko", ranges: &[(0x1100, 0x11FF), (0xAC00, 0xD7AF)] },
    Script { name: "kana", ranges: &[(0x3040, 0x30FF)] },
    Script { name: "han", ranges: &[(0x4E00, 0x9FFF), (0x3400, 0x4DBF)] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(language: Option<&str>, text: &str) {
        assert_eq!(guess(text), language, "{text:?}");
    }

    #[test]
    fn plain_sentences_are_recognised() {
        check(Some("en"), "The tide comes in twice a day because of the moon.");
        check(Some("en"), "I LIKE THE RAIN AND THE WIND.");
        check(Some("de"), "Der Hund schläft auf dem Sofa und träumt von der Katze.");
        check(Some("fr"), "Le chien dort sur le canapé et il rêve de la mer.");
        check(Some("es"), "El perro duerme en el sofá y sueña con los gatos del barrio.");
        check(Some("it"), "Il cane dorme sul divano e sogna di correre con i gatti.");
        check(Some("pt"), "O cão dorme no sofá e não sonha com os gatos da rua.");
        check(Some("nl"), "De hond slaapt op de bank en droomt van een kat.");
        check(Some("ru"), "Собака спит на диване, и ей не снится кот.");
        check(Some("uk"), "Собака спить на дивані, і це не дивно, але кіт є.");
        check(Some("el"), "Ο σκύλος κοιμάται στον καναπέ.");
        check(Some("ar"), "الكلب ينام على الأريكة.");
        check(Some("fa"), "سگ روی مبل می‌خوابد و گربه نگاه می‌کند.");
        check(Some("hi"), "कुत्ता सोफे पर सो रहा है और बिल्ली देख रही है।");
        check(Some("ja"), "犬はソファで眠っています。");
        check(Some("zh"), "狗在沙发上睡觉。");
        check(Some("ko"), "개가 소파에서 잠을 잔다.");
        check(Some("th"), "สุนัขนอนบนโซฟา");
        check(Some("ta"), "நாய் சோபாவில் தூங்குகிறது.");
        check(None, "12345 !!!");
        check(None, "xyzzy plugh");
        check(None, "");
    }

    #[test]
    fn every_known_language_can_be_guessed() {
        let mut listed: Vec<&str> = [LATIN, CYRILLIC, DEVANAGARI].concat().iter().map(|(name, _)| *name).collect();
        listed.extend(SCRIPTS.iter().map(|s| s.name).filter(|name| name.len() == 2));
        listed.extend(["ar", "fa", "ur", "ja", "zh"]);
        listed.sort_unstable();
        let mut known = KNOWN.to_vec();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
