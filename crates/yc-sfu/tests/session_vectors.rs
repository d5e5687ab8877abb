//! The cases of `vectors/native_session.json`, which the guard of `packages/share-controller` is held to as well.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use yc_sfu::messages::{NativeSenderOffer, NativeSenderSession};
use yc_sfu::{NativeSession, SessionRules};

#[derive(Deserialize)]
struct Vectors {
    offers: BTreeMap<String, NativeSenderOffer>,
    reply: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    offer: Option<String>,
    #[serde(default)]
    allow_plain_rtp: bool,
    set: BTreeMap<String, Value>,
    refused: Option<String>,
    hides: Option<String>,
}

#[test]
fn every_case_is_accepted_or_refused_in_its_words() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/native_session.json")).unwrap();
    for case in &vectors.cases {
        let mut reply = vectors.reply.clone();
        for (path, value) in &case.set {
            let pointer = format!("/{}", path.replace('.', "/"));
            *reply.pointer_mut(&pointer).unwrap() = value.clone();
        }
        let reply: NativeSenderSession = serde_json::from_value(reply).unwrap();
        let offer = &vectors.offers[case.offer.as_deref().unwrap_or("plain")];
        let rules = SessionRules::default().with_plain_rtp(case.allow_plain_rtp);
        let said = NativeSession::validate(&reply, offer, rules).err().map(|error| error.to_string());
        match (&case.refused, &said) {
            (None, None) => {}
            (Some(words), Some(said)) => assert!(said.contains(words), "{}: {said}", case.name),
            (wanted, said) => panic!("{}: {said:?} where {wanted:?} is wanted", case.name),
        }
        if let (Some(hidden), Some(said)) = (&case.hides, &said) {
            assert!(!said.contains(hidden), "{}: {said}", case.name);
        }
    }
}
