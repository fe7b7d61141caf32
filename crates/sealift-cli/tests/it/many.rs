//! Many promotions in one run: manifests, patterns of tags, shards, reports.

use std::collections::BTreeSet;
use std::time::Duration;

use sealift_sandbox::external;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, LoggedRequest, Registry, RegistryOptions, Rule};
use sealift_sandbox::sigstore::LogVersion;
use serde_json::Value;

use crate::services::{Services, args, text};
use crate::support::{User, registry};

/// Returns a user with a key and a registry with signed images `team/app:v1.0` to `v1.3` and `v2.0`.
fn staging() -> (User, Registry) {
    let (user, registry) = (User::with_key(), Registry::start(RegistryOptions::default()).unwrap());
    let tags = ["v1.0", "v1.1", "v1.2", "v1.3", "v2.0"];
    let mut sign = vec!["sign".to_owned(), "--key".to_owned(), "sealift.key".to_owned()];
    for (seed, tag) in (1..).zip(tags) {
        registry.add("team/app", &fixture::image(seed), Some(tag)).unwrap();
        sign.push(registry.reference(&format!("team/app:{tag}")));
    }
    user.run(&sign.iter().map(String::as_str).collect::<Vec<_>>()).assert_code(0);
    (user, registry)
}

fn empty() -> Registry {
    Registry::start(RegistryOptions::default()).unwrap()
}

/// The user's tags of a repository.
pub(crate) fn tags(registry: &Registry, repository: &str) -> Vec<String> {
    let mut tags = registry.tags(repository);
    tags.retain(|tag| !tag.starts_with("sha256-"));
    tags.sort();
    tags
}

#[test]
fn a_manifest_promotes_each_of_its_images_and_one_failure_stops_no_other() {
    let ((user, source), [prod, eu]) = (staging(), [empty(), empty()]);
    source.add("team/unsigned", &fixture::image(9), Some("v1")).unwrap();
    let (from, to, other) = (source.host(), prod.host(), eu.host());
    user.write(
        "promotions.yaml",
        format!(
            "version: 1\npromotions:\n- {{source: '{from}/team/app:v1.?', destinations: [{to}/prod/app, {other}/prod/app]}}\n\
             - {{source: '{from}/team/unsigned:v1', destinations: [{to}/prod/unsigned]}}\n\
             - {{source: '{from}/team/nowhere:v1', destinations: [{to}/prod/nowhere]}}\n\
             - {{source: '{from}/team/app:v9.*', destinations: [{to}/prod/nine]}}\n\
             - {{source: '{from}/team/app:v2.0', destinations: ['{to}/prod/app:two'], tags: [latest]}}\n"
        ),
    );
    let run = ["promote", "--key", "sealift.pub", "--from-file", "promotions.yaml", "--junit", "report.xml"];
    let outcome = user.run(&[&run[..], &["--output", "json"]].concat()).assert_code(19);
    let lines = outcome.json_lines();
    assert_eq!(tags(&prod, "prod/app"), ["latest", "two", "v1.0", "v1.1", "v1.2", "v1.3"]);
    assert_eq!(tags(&eu, "prod/app"), ["v1.0", "v1.1", "v1.2", "v1.3"]);
    let codes: Vec<&str> = lines.iter().filter_map(|line| line["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["NO_SIGNATURE", "NOT_FOUND", "NOT_FOUND"], "{}", outcome.stdout);
    let failed = lines.iter().filter(|line| line["error"].is_object());
    let failed: Vec<_> = failed.map(|line| (&line["reference"], &line["source"])).collect();
    for (place, (reference, source)) in ["unsigned:v1", "nowhere:v1", "app:v9.*"].into_iter().zip(failed) {
        let expected = format!("{from}/team/{place}");
        assert_eq!((reference.as_str(), source.as_str()), (Some(&*expected), Some(&*expected)));
    }
    let summary = &lines.last().unwrap()["summary"];
    let counts = ["promotions", "promoted", "unchanged", "planned", "refused", "failed"].map(|name| &summary[name]);
    assert_eq!(counts, [12, 9, 0, 0, 3, 0].map(Value::from).each_ref(), "{summary}");
    let report = std::fs::read_to_string(user.path("report.xml")).unwrap();
    assert!(report.contains("tests=\"12\" failures=\"3\" errors=\"0\""), "{report}");
    assert!(report.contains("type=\"NO_SIGNATURE\""), "{report}");
    assert_xml(&user, "report.xml", 12);
    // Once more, nothing is left to do but for the failures.
    user.run(&run)
        .assert_code(19)
        .assert_stdout("12 promotions: 9 unchanged, 3 refused")
        .assert_stdout("0 objects copied");
}

/// Has the report read by a real XML parser.
fn assert_xml(user: &User, file: &str, cases: usize) {
    let count =
        "import sys, xml.etree.ElementTree as e; print(len(e.parse(sys.argv[1]).findall('testsuite/testcase')))";
    let Some(python) = external::installed("venv/bin/python") else { return };
    let outcome = user.run_command(user.command(python).args(["-c", count, file])).assert_code(0);
    assert_eq!(outcome.stdout.trim(), cases.to_string());
}

#[test]
fn junit_holds_what_registries_say() {
    let ((user, source), prod) = (staging(), empty());
    source.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers)]);
    let (from, to) = (source.reference("team/app:v1.*"), prod.reference("prod/a-b.c"));
    let run = ["promote", "--key", "sealift.pub", "--timeout", "200ms", "--junit", "report.xml", &from, &to];
    user.run(&run).assert_code(22);
    let report = std::fs::read_to_string(user.path("report.xml")).unwrap();
    assert!(
        report.contains("failures=\"0\" errors=\"4\"") && report.contains("<error type=\"UNAVAILABLE\""),
        "{report}"
    );
    assert_xml(&user, "report.xml", 4);
}

#[test]
fn a_run_that_ends_early_leaves_no_report_of_another() {
    let ((user, source), prod) = (staging(), empty());
    let promote = |more: &[&str]| {
        user.write("report.xml", "of the run before");
        let outcome = user.run(&[&["promote", "--key", "sealift.pub", "--junit", "report.xml"], more].concat());
        assert_xml(&user, "report.xml", 1);
        (outcome, std::fs::read_to_string(user.path("report.xml")).unwrap())
    };
    user.write("bad.yaml", "version: 7\n");
    let (outcome, report) = promote(&["--from-file", "bad.yaml"]);
    outcome.assert_code(20);
    assert!(report.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{report}");
    assert!(report.contains("name=\"bad.yaml\"") && report.contains("type=\"CONFIGURATION\""), "{report}");
    assert!(report.contains("bad.yaml:1:1: version"), "{report}");
    let (from, to) = (source.reference("team/app:v1.0"), prod.reference("prod/app"));
    let (outcome, report) = promote(&["--resign", &from, &to]);
    outcome.assert_code(2);
    assert!(report.contains(&format!("name=\"{from}\"")) && report.contains("`--resign` needs somebody"), "{report}");
}

#[test]
fn a_report_that_cannot_be_written_hides_no_verdict() {
    let ((user, source), prod) = (staging(), empty());
    source.add("team/unsigned", &fixture::image(9), Some("v1")).unwrap();
    let promote = |more: &[&str]| {
        let outcome = user.run(&[&["promote", "--key", "sealift.pub", "--junit", "nowhere/report.xml"], more].concat());
        outcome.assert_stderr("writing `nowhere/report.xml` failed")
    };
    let to = prod.reference("prod/app");
    promote(&[&source.reference("team/unsigned:v1"), &to]).assert_code(10).assert_stderr("team/unsigned:v1");
    promote(&["--from-file", "nowhere.yaml"]).assert_code(20).assert_stderr("nowhere.yaml");
    let many = ["promote", "--key", "sealift.pub", "--junit", "nowhere/report.xml", "--output", "json"];
    let shown = user.run(&[&many[..], &[&source.reference("team/unsigned:v*"), &to]].concat()).assert_code(10);
    let shown = shown.json_lines();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0]["error"].is_object() && shown[2]["summary"]["refused"] == 1, "{shown:?}");
    promote(&[&source.reference("team/app:v1.0"), &to]).assert_code(1).assert_stdout("promoted");
    assert_eq!(tags(&prod, "prod/app"), ["v1.0"]);
}

/// Destinations are served at the same time; what the source took is the first one's.
#[test]
fn each_case_of_a_report_took_its_own_time() {
    let ((user, source), prod) = (staging(), empty());
    source.set_faults([Rule::new(Effect::Delay(Duration::from_millis(200))).reference("v1.0").times(1)]);
    let from = source.reference("team/app:v1.0");
    let to: Vec<String> = (0..8).map(|number| prod.reference(&format!("prod/app-{number}"))).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let run = ["promote", "--key", "sealift.pub", "--jobs", "1", "--junit", "report.xml", &from];
    user.run(&[&run[..], &to].concat()).assert_code(0);
    let report = std::fs::read_to_string(user.path("report.xml")).unwrap();
    let milliseconds = |line: &str| -> u64 {
        let time = line.split("time=\"").nth(1).unwrap().split('"').next().unwrap();
        time.replace('.', "").parse().unwrap()
    };
    let whole = milliseconds(report.lines().find(|line| line.contains("<testsuites")).unwrap());
    let cases: Vec<u64> = report.lines().filter(|line| line.contains("<testcase")).map(milliseconds).collect();
    assert_eq!(cases.len(), 8);
    // Each is rounded by less than one.
    assert!((200..=whole + 1).contains(&cases[0]), "{report}");
    assert!(cases[1..].iter().all(|case| case + 200 <= whole + 1), "{report}");
}

#[test]
fn a_pattern_on_the_command_line_keeps_each_tag() {
    let ((user, source), prod) = (staging(), empty());
    let (from, to) = (source.reference("team/app:v1.*"), prod.reference("prod/app"));
    let plan = ["promote", "--key", "sealift.pub", "--dry-run", &from, &to];
    user.run(&plan).assert_code(0).assert_stdout("4 promotions: 4 planned\n  nothing was written, in");
    assert!(tags(&prod, "prod/app").is_empty());
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(0).assert_stdout("4 promotions: 4 promoted");
    assert_eq!(tags(&prod, "prod/app"), ["v1.0", "v1.1", "v1.2", "v1.3"]);
    let one = prod.reference("prod/app:one");
    user.run(&["promote", "--key", "sealift.pub", &from, &one]).assert_code(2).assert_stderr("a pattern keeps the tag");
    let none = source.reference("team/app:v3.*");
    user.run(&["promote", "--key", "sealift.pub", &none, &to]).assert_code(11).assert_stderr("no tag of");
    user.run(&["promote", "--key", "sealift.pub", &source.reference("team/app:v2.0"), &to, &to])
        .assert_code(2)
        .assert_stderr("written twice");
    user.run(&["promote", "--key", "sealift.pub", "--from-file", "f", &from, &to]).assert_code(2);
}

/// Each of them is looked up, and then the image is read, judged and delivered for all of them.
#[test]
fn several_tags_of_one_image_cost_little_more_than_one() {
    let ((user, source), prod) = (staging(), empty());
    for tag in ["v3", "v3.1", "v3.1.0"] {
        source.add("team/app", &fixture::image(1), Some(tag)).unwrap();
    }
    source.clear_requests();
    let (from, to) = (source.reference("team/app:v3*"), prod.reference("prod/app"));
    let run = ["promote", "--key", "sealift.pub", "--sign-key", "sealift.key", "--resign", &from, &to];
    user.run(&run).assert_code(0).assert_stdout("3 promotions: 3 promoted");
    assert_eq!(tags(&prod, "prod/app"), ["v3", "v3.1", "v3.1.0"]);
    let mut read: Vec<_> = source.requests().iter().map(LoggedRequest::line).collect();
    read.retain(|line| !line.ends_with("/tags/list"));
    let all = read.len();
    read.sort();
    read.dedup();
    assert_eq!(read.len(), all, "{read:#?}");
    // The signature that it had, which is the signer's own, and a record of each tag.
    assert_eq!(prod.referrers("prod/app", fixture::image(1).digest()).len(), 1 + 3);
}

#[test]
fn unchanged_is_what_was_there_already_down_to_tags_and_records() {
    let ((user, source), prod) = (staging(), empty());
    let (from, to) = (source.reference("team/app:v1.?"), prod.reference("prod/app"));
    let promote = |args: &[&str], told: &str| {
        let run = [&["promote", "--key", "sealift.pub"][..], args].concat();
        user.run(&run).assert_code(0).assert_stdout(told);
    };
    promote(&["--dry-run", &from, &to], "4 promotions: 4 planned\n");
    promote(&[&from, &to], "4 promotions: 4 promoted\n");
    promote(&[&from, &to], "4 promotions: 4 unchanged\n");
    promote(&["--sign-key", "sealift.key", &from, &to], "4 promotions: 4 promoted\n");
    promote(&["--sign-key", "sealift.key", &from, &to], "4 promotions: 4 unchanged\n");
    let source = source.reference("team/app:v1.0");
    let entry = format!("{{source: '{source}', destinations: ['{to}'], tags: [latest]}}");
    user.write("promotions.yaml", format!("version: 1\npromotions: [{entry}]\n"));
    promote(&["--from-file", "promotions.yaml"], "1 promotion: 1 promoted\n");
    promote(&["--from-file", "promotions.yaml"], "1 promotion: 1 unchanged\n");
}

#[test]
fn a_log_has_a_line_for_each_image_as_it_is_done_unless_nobody_wants_it() {
    let ((user, source), prod) = (staging(), empty());
    source.add("team/app", &fixture::image(9), Some("v1.9")).unwrap();
    let (from, to) = (source.reference("team/app:v1.*"), prod.reference("prod/app"));
    let run = ["promote", "--key", "sealift.pub", "--output", "json", &from, &to];
    let outcome = user.run(&run).assert_code(10);
    for done in 1..=5 {
        assert_eq!(outcome.stderr.matches(&format!("[{done}/5] ")).count(), 1, "{}", outcome.stderr);
    }
    assert_eq!(outcome.stderr.matches(&format!("promoted {}:v1.", source.reference("team/app"))).count(), 4);
    let refused = format!("refused {}:v1.9: NO_SIGNATURE, ", source.reference("team/app"));
    let outcome = outcome.assert_stderr(&refused);
    assert!(!outcome.stderr.contains('\u{1b}'), "colours in a log: {}", outcome.stderr);
    assert_eq!(outcome.json_lines().len(), 6, "{}", outcome.stdout);
    for flag in ["--no-progress", "--quiet"] {
        let outcome = user.run(&[&run[..], &[flag]].concat()).assert_code(10);
        assert!(!outcome.stderr.contains("/5] "), "{flag}: {}", outcome.stderr);
    }
    // Of one image by itself the result tells.
    let one = user.run(&["promote", "--key", "sealift.pub", &source.reference("team/app:v1.0"), &to]).assert_code(0);
    assert_eq!(one.stderr, "");
}

#[test]
fn each_image_is_in_one_shard_and_an_empty_one_is_a_success() {
    let ((user, source), prod) = (staging(), empty());
    let (from, to) = (source.host(), prod.host());
    let manifest = format!(
        "version: 1\npromotions:\n- {{source: '{from}/team/app:v1.*', destinations: [{to}/prod/app]}}\n\
         - {{source: '{from}/team/app:v2.0', destinations: [{to}/prod/app]}}\n"
    );
    user.write("promotions.yaml", manifest);
    let (mut promoted, mut is_empty) = (Vec::new(), false);
    for index in 0..8 {
        let shard = format!("{index}/8");
        let run = ["promote", "--key", "sealift.pub", "--from-file", "promotions.yaml", "--shard", &shard];
        let outcome = user.run(&[&run[..], &["--output", "json"]].concat()).assert_code(0);
        let lines = outcome.json_lines();
        promoted.extend(lines.iter().filter_map(|line| line["destination"].as_str().map(str::to_owned)));
        let is_this_empty = lines.last().unwrap()["summary"]["promotions"] == 0;
        if is_this_empty {
            user.run(&run).assert_code(0).assert_stdout("all 5 images are in others");
        }
        is_empty |= is_this_empty;
    }
    assert_eq!((promoted.len(), promoted.iter().collect::<BTreeSet<_>>().len()), (5, 5));
    assert!(is_empty, "eight shards for five images");
    assert_eq!(tags(&prod, "prod/app").len(), 5);
    let run = ["promote", "--key", "sealift.pub", "--from-file", "promotions.yaml", "--shard", "8/8"];
    user.run(&run).assert_code(2).assert_stderr("counted from 0");
}

#[test]
fn a_source_whose_tags_cannot_be_told_fails_in_every_shard_and_at_its_place() {
    let ((user, source), prod) = (staging(), empty());
    let (from, to) = (source.host(), prod.host());
    let pattern = format!("{from}/team/web:v1.*");
    let one = |source: &str| format!("- {{source: '{source}', destinations: [{to}/prod/app]}}\n");
    let [first, last] = ["v1.0", "v2.0"].map(|tag| one(&format!("{from}/team/app:{tag}")));
    user.write("promotions.yaml", format!("version: 1\npromotions:\n{first}{}{last}", one(&pattern)));
    source.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Tags).repository("team/web")]);
    let promote = |more: &[&str]| {
        let run = ["promote", "--key", "sealift.pub", "--timeout", "200ms", "--output", "json"];
        user.run(&[&run[..], &["--from-file", "promotions.yaml"], more].concat()).assert_code(22).json_lines()
    };
    for shard in ["0/3", "1/3", "2/3"] {
        let lines = promote(&["--shard", shard]);
        let failed: Vec<_> = lines.iter().filter(|line| line["error"]["code"] == "UNAVAILABLE").collect();
        assert_eq!(failed.len(), 1, "{shard}: {lines:?}");
        assert_eq!(failed[0]["reference"], pattern);
    }
    let lines = promote(&[]);
    let codes: Vec<_> = lines.iter().map(|line| line["error"]["code"].as_str().unwrap_or("")).collect();
    assert_eq!(codes, ["", "UNAVAILABLE", "", ""], "in the order of the file: {lines:?}");
}

#[test]
fn policies_of_entries_are_found_beside_the_manifest_and_judge_both_ends() {
    let ((user, source), prod) = (staging(), empty());
    let (from, to) = (source.host(), prod.host());
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    std::fs::create_dir(user.path("etc")).unwrap();
    for name in ["sealift.pub", "other.pub"] {
        std::fs::copy(user.path(name), user.path("etc").join(name)).unwrap();
    }
    for (name, key) in [("good.yaml", "sealift.pub"), ("bad.yaml", "other.pub")] {
        let policy = format!("version: 1\nscopes: [{{repository: '**', signatures: [{{anyOf: [{{key: {key}}}]}}]}}]\n");
        user.write(&format!("etc/{name}"), policy);
    }
    let promotion = |tag: &str, policy: &str| {
        format!("- {{source: '{from}/team/app:{tag}', destinations: [{to}/prod/app], policy: {policy}}}\n")
    };
    user.write(
        "etc/promotions.yaml",
        format!("version: 1\npromotions:\n{}{}", promotion("v1.0", "good.yaml"), promotion("v1.1", "bad.yaml")),
    );
    user.run(&["promote", "--from-file", "etc/promotions.yaml"]).assert_code(14);
    assert_eq!(tags(&prod, "prod/app"), ["v1.0"]);
    // Keys that would judge nothing are not passed over.
    for flags in [["--key", "sealift.pub"], ["--policy", "etc/good.yaml"], ["--certificate-identity", "a@example.com"]]
    {
        user.run(&[&["promote", "--from-file", "etc/promotions.yaml"], &flags[..]].concat())
            .assert_code(2)
            .assert_stderr("would judge none");
    }
    // Without a policy, somebody has to be named.
    user.write("m.json", format!(r#"{{"version": 1, "promotions": [{{"source": "{from}/team/app:v2.0", "destinations": ["{to}/prod/app"]}}]}}"#));
    user.run(&["promote", "--from-file", "m.json"]).assert_code(2).assert_stderr("nobody is named");
    user.run(&["promote", "--from-file", "m.json", "--key", "sealift.pub"]).assert_code(0);
    user.write("m.json", "{\"version\": 1,\n\"promotions\": [{\"source\": \"a/b:1\"}]}");
    user.run(&["promote", "--from-file", "m.json", "--key", "sealift.pub"])
        .assert_code(20)
        .assert_stderr("m.json:2:16");
}

#[test]
fn a_trust_root_out_of_a_pipe_serves_for_every_policy() {
    let services = Services::start();
    let (source, prod) = (registry(RegistryOptions::default()), empty());
    let sign = args(["sign", &source.reference("team/app:v1")]);
    services.run(&[&sign, &services.token(), &services.signing(&[LogVersion::V1])]).assert_code(0);
    let (subject, issuer) = (services.identity.subject(), services.issuer());
    let policy = format!(
        "version: 1\nscopes:\n- repository: '**'\n  signatures:\n  \
         - anyOf: [{{identity: {{subject: '{subject}', issuer: '{issuer}'}}}}]\n"
    );
    let (from, to) = (source.reference("team/app:v1"), prod.host());
    let mut manifest = String::from("version: 1\npromotions:\n");
    for name in ["app", "web"] {
        services.user.write(&format!("{name}.yaml"), &policy);
        manifest += &format!("- {{source: '{from}', destinations: [{to}/prod/{name}], policy: {name}.yaml}}\n");
    }
    services.user.write("promotions.yaml", manifest);
    let sealift = env!("CARGO_BIN_EXE_sealift");
    let promote = format!("{sealift} promote --trusted-root - --from-file promotions.yaml");
    let line = format!("cat {} | {promote}", text(&services.files.trusted_root));
    services.user.run_command(services.user.command("sh").args(["-c", &line])).assert_code(0);
    assert_eq!((tags(&prod, "prod/app"), tags(&prod, "prod/web")), (vec!["v1".to_owned()], vec!["v1".to_owned()]));
}

#[test]
fn the_documented_example_is_read() {
    let user = User::with_key();
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/promotion-manifest.md")).unwrap();
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    user.write("promotions.yaml", example);
    user.write("app-policy.yaml", "version: 2\n");
    // Past the manifest, the policy that it names is what is wrong.
    user.run(&["promote", "--key", "sealift.pub", "--from-file", "promotions.yaml"])
        .assert_code(20)
        .assert_stderr("app-policy.yaml:1:1: version");
}
