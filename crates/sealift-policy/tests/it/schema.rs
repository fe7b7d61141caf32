//! The published schema and the published examples agree with what is read.

use std::path::Path;

use sealift_core::document::{Document, Entry};
use serde_json::{Map, Value};

use crate::documents::{files, parse};

fn docs(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

#[test]
fn examples_are_read_and_fit_the_schema() {
    let (text, schema) = (docs("policy.md"), schema());
    let examples: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 3);
    let key = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/keys/cosign2.pub")).unwrap();
    let other = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/keys/cosign3.pub")).unwrap();
    for example in examples {
        let read_key = &mut |path: &Path| Ok(if path.ends_with("we.pub") { other.clone() } else { key.clone() });
        let policy = sealift_policy::PolicyDocument::parse(example.as_bytes(), "policy.md", read_key);
        policy.unwrap_or_else(|error| panic!("{error}\n{example}"));
        assert_eq!(violation(&schema, &schema, &to_json(example)), None, "{example}");
    }
}

#[test]
fn the_schema_takes_what_is_read_and_refuses_what_has_the_wrong_shape() {
    let schema = schema();
    for (file, text) in files("valid") {
        assert_eq!(violation(&schema, &schema, &to_json(&text)), None, "{file}");
    }
    // What only the parser can know: keys, references to signers, expressions, spelling of repositories, YAML itself.
    let beyond = [
        "alias_bomb",
        "bad_expression",
        "duplicate_field",
        "duplicate_signer",
        "empty",
        "missing_key_file",
        "one_key_twice",
        "pattern_without_registry",
        "private_key",
        "tag_in_repository",
        "threshold_of_all",
        "two_documents",
        "unknown_claim",
        "unknown_signer",
        "unknown_type",
        "unreachable_threshold",
        "unreachable_threshold_of_names",
    ];
    let mut unrefused = Vec::new();
    for (file, text) in files("invalid") {
        let name = Path::new(&file).file_stem().unwrap().to_str().unwrap().to_owned();
        let is_refused =
            Document::parse(text.as_bytes(), "p").is_err() || violation(&schema, &schema, &to_json(&text)).is_some();
        let is_read = parse(&text, "p").is_ok();
        assert!(!is_read, "{file}");
        if !is_refused {
            unrefused.push(name);
        }
    }
    let unexpected: Vec<_> = unrefused.iter().filter(|name| !beyond.contains(&name.as_str())).collect();
    assert!(unexpected.is_empty(), "the schema takes {unexpected:?}");
}

/// Every mapping of the schema, given a field that it does not know, must be refused by the parser with the schema's
/// own fields as those that are known.
#[test]
fn the_schema_knows_the_fields_that_the_parser_knows() {
    let schema = schema();
    let deep = "version: 1\nscopes: [{repository: '**', attestations: [{type: spdx, anyOf: [{identity: {subject: {glob: '*'}, issuer: i}}]}], signatures: [{anyOf: [{key: cosign2.pub}]}], endOfLife: {grace: 7d, marker: {date: org.example.end, type: application/vnd.example}}}]";
    parse(deep, "p").unwrap();
    for (place, at) in [
        ("version: 1", "/properties"),
        ("{repository:", "/$defs/scope/properties"),
        ("{type:", "/$defs/attestation/properties"),
        ("{anyOf: [{key", "/$defs/signature/properties"),
        ("{key:", "/$defs/signer/properties"),
        ("{subject:", "/$defs/identity/properties"),
        ("{grace:", "/$defs/scope/properties/endOfLife/properties"),
        ("{date:", "/$defs/scope/properties/endOfLife/properties/marker/properties"),
        ("{glob:", "/$defs/pattern/anyOf/1/properties"),
    ] {
        let with_unknown = match place.strip_prefix('{') {
            Some(rest) => deep.replacen(place, &format!("{{unknown: 1, {rest}"), 1),
            None => format!("unknown: 1\n{deep}"),
        };
        let error = parse(&with_unknown, "p").unwrap_err().to_string();
        let known = error.split("unknown: unknown field; known are ").nth(1).unwrap_or_else(|| panic!("{error}"));
        let mut known: Vec<&str> = known.split(", ").collect();
        known.sort_unstable();
        let fields: Vec<&str> = schema.pointer(at).unwrap().as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, fields, "{at}");
    }
}

fn schema() -> Value {
    serde_json::from_str(&docs("policy.schema.json")).unwrap()
}

/// Reads YAML as the JSON that an editor would compare with the schema.
fn to_json(text: &str) -> Value {
    let document = Document::parse(text.as_bytes(), "p").unwrap_or_else(|error| panic!("{error}"));
    json_of(&document.root())
}

fn json_of(entry: &Entry<'_>) -> Value {
    if entry.is_mapping() {
        let fields = entry.named(usize::MAX).unwrap();
        return Value::Object(fields.into_iter().map(|(name, entry)| (name.to_owned(), json_of(&entry))).collect());
    }
    if entry.is_list() {
        return Value::Array(entry.list("anything", usize::MAX).unwrap_or_default().iter().map(json_of).collect());
    }
    let number = entry.number(0, usize::MAX).ok().map(Value::from);
    number.or_else(|| entry.text("text").ok().map(Value::from)).unwrap_or(Value::Null)
}

/// Returns where `value` does not fit `schema`. Knows the keywords the schema uses, and fails on others.
fn violation(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let fits = |schema: &Value| violation(root, schema, value).is_none();
    for (keyword, demand) in schema.as_object().unwrap() {
        let list = || demand.as_array().unwrap();
        let limit = || usize::try_from(demand.as_u64().unwrap()).unwrap();
        let object = value.as_object();
        let length = value.as_str().map(str::len);
        let ok = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => fits(root.pointer(demand.as_str().unwrap().strip_prefix('#').unwrap()).unwrap()),
            "additionalProperties" => object.is_none_or(|object| has_known_fields(root, schema, demand, object)),
            "anyOf" => list().iter().any(fits),
            "const" => value == demand,
            "items" => {
                value.as_array().is_none_or(|all| all.iter().all(|item| violation(root, demand, item).is_none()))
            }
            "maxItems" => value.as_array().is_none_or(|all| all.len() <= limit()),
            "maxLength" => length.is_none_or(|length| length <= limit()),
            "maxProperties" => object.is_none_or(|object| object.len() <= limit()),
            "maximum" => value.as_u64().is_none_or(|number| number <= limit() as u64),
            "minItems" => value.as_array().is_none_or(|all| all.len() >= limit()),
            "minLength" => length.is_none_or(|length| length >= limit()),
            "minimum" => value.as_u64().is_none_or(|number| number >= limit() as u64),
            "oneOf" => list().iter().filter(|schema| fits(schema)).count() == 1,
            // The one expression there is.
            "pattern" => value.as_str().is_none_or(|text| text.parse::<sealift_policy::Duration>().is_ok()),
            "properties" => object.is_none_or(|object| {
                let known =
                    |(name, schema)| object.get(name).is_none_or(|value| violation(root, schema, value).is_none());
                demand.as_object().unwrap().iter().all(known)
            }),
            "required" => {
                object.is_none_or(|object| list().iter().all(|name| object.contains_key(name.as_str().unwrap())))
            }
            "type" => match demand.as_str().unwrap() {
                "array" => value.is_array(),
                "integer" => value.is_u64(),
                "object" => value.is_object(),
                "string" => value.is_string(),
                other => panic!("{other}"),
            },
            other => panic!("the schema uses `{other}`, which is not known here"),
        };
        if !ok {
            return Some(format!("{keyword}: {demand} {value}"));
        }
    }
    None
}

fn has_known_fields(root: &Value, schema: &Value, demand: &Value, object: &Map<String, Value>) -> bool {
    let known = |name: &str| schema.get("properties").is_some_and(|known| known.get(name).is_some());
    let others = object.iter().filter(|(name, _)| !known(name));
    match demand {
        Value::Bool(is_allowed) => *is_allowed || others.count() == 0,
        schema => others.into_iter().all(|(_, value)| violation(root, schema, value).is_none()),
    }
}
