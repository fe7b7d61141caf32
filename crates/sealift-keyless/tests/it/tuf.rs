//! The client of The Update Framework against repositories that are good, broken and hostile.

use jiff::SignedDuration;
use sealift_keyless::tuf::{Cache, TufClient, TufError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::chain;
use crate::tuf_repository::{ENDLESS, TufRepository, day, describe, key_id, new_key, public};

#[tokio::test]
async fn a_refresh_asks_for_each_file_once_and_the_next_for_two() {
    let repository = TufRepository::new().await;
    let mut client = repository.refresh().await.unwrap();
    assert_eq!(client.target("file.txt", repository.now).await.unwrap(), &b"content"[..]);
    let hash = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    let target = format!("/targets/{hash}.file.txt");
    let first = ["/2.root.json", "/timestamp.json", "/1.snapshot.json", "/1.targets.json", &target];
    assert_eq!(repository.requests(), first);
    let mut client = repository.refresh().await.unwrap();
    assert_eq!(client.target("file.txt", repository.now).await.unwrap(), &b"content"[..]);
    assert_eq!(repository.requests()[5..], ["/2.root.json", "/timestamp.json"]);
    let mut offline = repository.offline_client();
    offline.refresh(repository.now).await.unwrap();
    assert_eq!(offline.target("file.txt", repository.now).await.unwrap(), &b"content"[..]);
    assert_eq!(repository.requests().len(), 7, "offline asks nobody");
}

#[tokio::test]
async fn roots_are_followed_one_by_one() {
    let mut repository = TufRepository::new().await;
    repository.refresh().await.unwrap();
    for _ in 0..3 {
        let old = repository.keys.insert("root".to_owned(), vec![new_key()]).unwrap();
        repository.root["keys"] = json!({});
        for role in ["root", "snapshot", "targets", "timestamp"] {
            repository.authorise(role, 1);
        }
        repository.publish_next_root(&old);
    }
    repository.refresh().await.unwrap();
    assert_eq!(repository.cached_version("root.json"), Some(4));
    repository.refresh().await.unwrap();
    assert_eq!(repository.requests().iter().filter(|path| *path == "/2.root.json").count(), 2, "then from the cache");

    // A root that its predecessor did not sign, and one that skips a version.
    repository.keys.insert("root".to_owned(), vec![new_key()]).unwrap();
    repository.authorise("root", 1);
    repository.publish_next_root(&[]);
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TufError::Threshold { required: 1, found: 0, .. }), "{error:?}");
    assert_eq!(repository.cached_version("root.json"), Some(4));
}

#[tokio::test]
async fn a_root_of_another_version_is_refused() {
    let mut repository = TufRepository::new().await;
    repository.root["version"] = 3.into();
    let skipping = repository.sign(&repository.root, "root", None);
    repository.put("/2.root.json", skipping);
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TufError::Version { expected: 2, found: 3, .. }), "{error:?}");
}

#[tokio::test]
async fn one_key_counts_once_whatever_it_is_called() {
    let mut repository = TufRepository::new().await;
    // One key under a second identifier, as in CVE-2020-6174.
    let key = &repository.keys["snapshot"][0];
    let (id, alias) = (key_id(key), "f00d".repeat(16));
    repository.root["keys"][&alias] = public(key);
    repository.root["roles"]["snapshot"] = json!({ "keyids": [id, alias], "threshold": 2 });
    let old = repository.keys.insert("root".to_owned(), vec![new_key()]).unwrap();
    repository.authorise("root", 1);
    repository.publish_next_root(&old);
    let mut snapshot: Value = serde_json::from_slice(&repository.file("/1.snapshot.json").unwrap()).unwrap();
    let again = json!({ "keyid": alias, "sig": snapshot["signatures"][0]["sig"] });
    snapshot["signatures"].as_array_mut().unwrap().push(again);
    repository.put("/1.snapshot.json", snapshot.to_string().into_bytes());
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TufError::Threshold { required: 2, found: 1, .. }), "{error:?}");

    // The same identifier twice.
    snapshot["signatures"][1]["keyid"] = id.into();
    repository.put("/1.snapshot.json", snapshot.to_string().into_bytes());
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TufError::DuplicateSignature { .. }), "{error:?}");
}

#[tokio::test]
async fn thresholds_are_met_by_distinct_keys_or_not_at_all() {
    for (signers, threshold, is_met) in
        [(1, 1, true), (2, 2, true), (3, 2, true), (1, 2, false), (2, 3, false), (1, 0, false)]
    {
        let mut repository = TufRepository::new().await;
        let old = repository.keys.insert("root".to_owned(), vec![new_key()]).unwrap();
        repository.keys.insert("timestamp".to_owned(), (0..signers).map(|_| new_key()).collect());
        repository.authorise("root", 1);
        repository.authorise("timestamp", threshold);
        repository.publish_next_root(&old);
        repository.publish();
        let result = repository.refresh().await;
        assert_eq!(result.is_ok(), is_met, "{signers} of {threshold}");
        let error = result.err();
        assert!(error.is_none_or(|error| matches!(error, TufError::Threshold { .. })));
    }
}

#[tokio::test]
async fn what_has_expired_is_refused_with_its_name() {
    for (role, file) in [
        ("root", "root.json"),
        ("timestamp", "timestamp.json"),
        ("snapshot", "snapshot.json"),
        ("targets", "targets.json"),
    ] {
        let mut repository = TufRepository::new().await;
        repository.refresh().await.unwrap();
        let past = day(repository.now, -1);
        match role {
            "root" => {
                repository.root["expires"] = past.into();
                repository.publish_next_root(&[]);
            }
            role => {
                let body = match role {
                    "timestamp" => &mut repository.timestamp,
                    "snapshot" => &mut repository.snapshot,
                    _ => &mut repository.targets,
                };
                body["expires"] = past.into();
                repository.bump();
            }
        }
        let error = repository.refresh().await.unwrap_err();
        assert!(matches!(&error, TufError::Expired { file: found, .. } if found == file), "{role}: {error:?}");
        assert!(error.to_string().contains("has expired at "), "{error}");
        if role != "root" {
            assert_eq!(repository.cached_version(file), Some(1), "{file} is not kept");
        }
        // The repository repairs it.
        let future = day(repository.now, 10);
        for body in [&mut repository.timestamp, &mut repository.snapshot, &mut repository.targets] {
            body["expires"] = future.clone().into();
        }
        if role == "root" {
            repository.root["expires"] = future.into();
            repository.publish_next_root(&[]);
        } else {
            repository.bump();
        }
        repository.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn an_expired_cache_is_refused_offline_and_refreshed_online() {
    let mut repository = TufRepository::new().await;
    repository.refresh().await.unwrap();
    let later = repository.now.saturating_add(SignedDuration::from_hours(24 * 11)).unwrap();
    let error = repository.offline_client().refresh(later).await.unwrap_err();
    assert!(matches!(&error, TufError::Expired { file, .. } if file == "root.json"), "{error:?}");
    repository.timestamp["expires"] = day(repository.now, 3).into();
    repository.bump();
    repository.refresh().await.unwrap();
    let later = repository.now.saturating_add(SignedDuration::from_hours(24 * 4)).unwrap();
    let error = repository.offline_client().refresh(later).await.unwrap_err();
    assert!(matches!(&error, TufError::Expired { file, .. } if file == "timestamp.json"), "{error:?}");
    repository.timestamp["expires"] = day(repository.now, 9).into();
    repository.bump();
    repository.client().unwrap().refresh(later).await.unwrap();
}

#[tokio::test]
async fn what_is_rolled_back_is_refused() {
    let mut repository = TufRepository::new().await;
    for _ in 0..3 {
        repository.bump();
    }
    repository.refresh().await.unwrap();
    assert_eq!(repository.cached_version("timestamp.json"), Some(4));

    // The timestamp itself.
    repository.timestamp["version"] = 2.into();
    repository.publish();
    let error = repository.refresh().await.unwrap_err();
    let expected = "`timestamp.json` is rolled back: version 2 after version 4";
    assert_eq!(error.to_string(), expected);

    // The snapshot it names.
    repository.timestamp["version"] = 5.into();
    repository.timestamp["meta"]["snapshot.json"]["version"] = 3.into();
    repository.publish();
    let error = repository.refresh().await.unwrap_err();
    assert_eq!(error.to_string(), "`snapshot.json` is rolled back: version 3 after version 4");

    // The targets that the snapshot names.
    repository.snapshot["version"] = 5.into();
    repository.timestamp["meta"]["snapshot.json"]["version"] = 5.into();
    repository.targets["version"] = 2.into();
    repository.snapshot["meta"]["targets.json"]["version"] = 2.into();
    repository.publish();
    let error = repository.refresh().await.unwrap_err();
    assert_eq!(error.to_string(), "`targets.json` is rolled back: version 2 after version 4");

    // And targets that the snapshot forgets, to bring them back in any version.
    repository.snapshot["meta"] = json!({});
    repository.publish();
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(&error, TufError::NotListed { file } if file == "targets.json"), "{error:?}");
    assert_eq!(repository.cached_version("snapshot.json"), Some(4));
    assert_eq!(repository.cached_version("targets.json"), Some(4));
}

/// A freeze: whoever keeps new metadata back can do so until the last one seen expires, and then no longer.
#[tokio::test]
async fn what_stands_still_is_refused_when_its_time_is_over() {
    for (role, file) in [("timestamp", "timestamp.json"), ("snapshot", "snapshot.json"), ("targets", "targets.json")] {
        let mut repository = TufRepository::new().await;
        let body = match role {
            "timestamp" => &mut repository.timestamp,
            "snapshot" => &mut repository.snapshot,
            _ => &mut repository.targets,
        };
        body["expires"] = day(repository.now, 2).into();
        repository.publish();
        repository.refresh().await.unwrap();
        let at = |days: i64| repository.now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap();
        // The same files are served again, to a client that has them and to a new one.
        repository.client().unwrap().refresh(at(1)).await.unwrap();
        let newcomer = TempDir::new().unwrap();
        for mut client in [repository.client().unwrap(), repository.client_in(&newcomer).unwrap()] {
            let error = client.refresh(at(3)).await.unwrap_err();
            assert!(matches!(&error, TufError::Expired { file: found, .. } if found == file), "{role}: {error:?}");
        }
    }
}

/// Files of several versions, each rightly signed, that never were in the repository together.
#[tokio::test]
async fn what_was_never_published_together_is_refused() {
    let mut repository = TufRepository::new().await;
    repository.refresh().await.unwrap();
    let old = |file: &str| repository.file(&format!("/1.{file}")).unwrap();
    let (old_snapshot, old_targets) = (old("snapshot.json"), old("targets.json"));
    repository.bump();
    let newcomer = TempDir::new().unwrap();
    let is_refused = async |repository: &TufRepository, file: &str| {
        for mut client in [repository.client().unwrap(), repository.client_in(&newcomer).unwrap()] {
            let error = client.refresh(repository.now).await.unwrap_err();
            let is_other = matches!(&error, TufError::Version { file: found, expected: 2, found: 1 } if found == file);
            assert!(is_other, "{file}: {error:?}");
        }
    };
    // The snapshot of before under the timestamp of now, then targets of before under the snapshot of now.
    repository.put("/2.snapshot.json", old_snapshot);
    is_refused(&repository, "snapshot.json").await;
    repository.publish();
    repository.put("/2.targets.json", old_targets);
    is_refused(&repository, "targets.json").await;

    // Other targets of the same version and length, where the snapshot says which by hash.
    repository.bump();
    let mut listed = describe(&repository.sign(&repository.targets, "targets", None));
    listed["version"] = 3.into();
    repository.snapshot["meta"]["targets.json"] = listed;
    repository.publish();
    repository.targets["expires"] = day(repository.now, 11).into();
    repository.put("/3.targets.json", repository.sign(&repository.targets, "targets", None));
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(&error, TufError::Digest { file, .. } if file == "targets.json"), "{error:?}");
    assert_eq!(repository.cached_version("targets.json"), Some(1), "nothing of it is kept");
}

#[tokio::test]
async fn a_gap_in_the_roots_is_not_jumped_over() {
    let mut repository = TufRepository::new().await;
    repository.refresh().await.unwrap();
    let first = repository.file("/1.root.json").unwrap();
    let old = repository.keys.insert("root".to_owned(), vec![new_key()]).unwrap();
    repository.keys.insert("timestamp".to_owned(), vec![new_key()]);
    repository.authorise("root", 1);
    repository.authorise("timestamp", 1);
    // Version 3 is there, signed by the keys of version 1 as well, and version 2 is missing.
    repository.root["version"] = 2.into();
    repository.publish_next_root(&old);
    repository.bump();
    let error = repository.refresh().await.unwrap_err();
    let is_by_old_keys = matches!(&error, TufError::Threshold { file, found: 0, .. } if file == "timestamp.json");
    assert!(is_by_old_keys, "the keys of version 3 count for nothing: {error:?}");
    assert!(!repository.requests().contains(&"/3.root.json".to_owned()), "nobody looks past the gap");
    // Neither the one before nor the one after fills it.
    for (other, found) in [(first, 1), (repository.file("/3.root.json").unwrap(), 3)] {
        repository.put("/2.root.json", other);
        let error = repository.refresh().await.unwrap_err();
        let is_told = matches!(&error, TufError::Version { expected: 2, found: version, .. } if *version == found);
        assert!(is_told, "{found}: {error:?}");
    }
}

#[tokio::test]
async fn a_repository_recovers_from_high_versions_with_new_keys() {
    let mut repository = TufRepository::new().await;
    for body in [&mut repository.timestamp, &mut repository.snapshot, &mut repository.targets] {
        body["version"] = 99_999.into();
    }
    repository.bump();
    repository.refresh().await.unwrap();
    assert_eq!(repository.cached_version("snapshot.json"), Some(100_000));
    let old = repository.keys.insert("root".to_owned(), vec![new_key()]).unwrap();
    for role in ["root", "snapshot", "timestamp"] {
        repository.keys.insert(role.to_owned(), vec![new_key()]).unwrap();
        repository.authorise(role, 1);
    }
    repository.publish_next_root(&old);
    for body in [&mut repository.timestamp, &mut repository.snapshot, &mut repository.targets] {
        body["version"] = 1.into();
    }
    repository.bump();
    repository.refresh().await.unwrap();
    for file in ["timestamp.json", "snapshot.json", "targets.json"] {
        assert_eq!(repository.cached_version(file), Some(2), "{file}");
    }
}

#[tokio::test]
async fn files_are_those_that_were_signed() {
    let mut repository = TufRepository::new().await;
    repository.add("other.txt", b"other");
    let snapshot = repository.sign(&repository.snapshot, "snapshot", None);
    let mut listed = describe(&snapshot);
    listed["version"] = 1.into();
    repository.timestamp["meta"]["snapshot.json"] = listed;
    repository.publish();
    repository.refresh().await.unwrap();

    for (what, change) in
        [("length", json!(1)), ("hashes", json!({ "sha256": "00" })), ("hashes", json!({ "md5": "00" }))]
    {
        let mut repository = TufRepository::new().await;
        repository.timestamp["meta"]["snapshot.json"][what] = change;
        repository.publish();
        let error = repository.refresh().await.unwrap_err();
        let is_found = matches!(error, TufError::Length { .. } | TufError::Digest { .. } | TufError::TooLarge { .. });
        assert!(is_found, "{what}: {error:?}");
    }

    // A file that was exchanged, for one as long and for a longer one.
    for (content, is_expected) in [
        (&b"CONTENT"[..], (|error| matches!(error, TufError::Digest { .. })) as fn(&TufError) -> bool),
        (b"content and more", |error| matches!(error, TufError::TooLarge { limit: 7, .. })),
        (b"cont", |error| matches!(error, TufError::Length { expected: 7, found: 4, .. })),
    ] {
        let repository = TufRepository::new().await;
        let path = "/targets/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73.file.txt";
        repository.put(path, content.to_vec());
        let mut client = repository.refresh().await.unwrap();
        let error = client.target("file.txt", repository.now).await.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        assert!(!repository.cache().below("targets").contains("file.txt").unwrap());
    }
}

#[tokio::test]
async fn a_spoilt_cache_is_no_way_in() {
    let repository = TufRepository::new().await;
    let mut client = repository.refresh().await.unwrap();
    client.target("file.txt", repository.now).await.unwrap();
    let cache = repository.cache();
    for name in ["timestamp.json", "snapshot.json", "targets.json"] {
        let good = cache.read(name, 100_000).unwrap().unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        for spoilt in [text.replace("\"version\":1", "\"version\":7").into_bytes(), b"{".to_vec(), Vec::new()] {
            cache.write(name, &spoilt).unwrap();
            let error = repository.offline_client().refresh(repository.now).await.unwrap_err();
            assert!(!chain(&error).is_empty());
            repository.refresh().await.unwrap();
            assert_eq!(cache.read(name, 100_000).unwrap().unwrap(), good, "{name} is repaired");
        }
    }
    cache.below("targets").write("file.txt", b"CONTENT").unwrap();
    let mut offline = repository.offline_client();
    offline.refresh(repository.now).await.unwrap();
    let error = offline.target("file.txt", repository.now).await.unwrap_err();
    assert!(matches!(error, TufError::NotCached { .. }), "{error:?}");
    let mut client = repository.refresh().await.unwrap();
    assert_eq!(client.target("file.txt", repository.now).await.unwrap(), &b"content"[..]);
}

/// Changes one bit of every byte of every file in the cache: none of it is believed.
#[tokio::test]
async fn no_changed_byte_is_accepted() {
    let repository = TufRepository::new().await;
    let mut client = repository.refresh().await.unwrap();
    client.target("file.txt", repository.now).await.unwrap();
    let (cache, targets) = (repository.cache(), repository.cache().below("targets"));
    let mut mutants = 0;
    for (place, name) in
        [(&cache, "timestamp.json"), (&cache, "snapshot.json"), (&cache, "targets.json"), (&targets, "file.txt")]
    {
        let good = place.read(name, 100_000).unwrap().unwrap();
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            place.write(name, &changed).unwrap();
            let mut client = repository.offline_client();
            let is_accepted =
                client.refresh(repository.now).await.is_ok() && client.target("file.txt", repository.now).await.is_ok();
            assert!(!is_accepted, "{name}: byte {at} of {}", String::from_utf8_lossy(&changed));
            mutants += 1;
        }
        place.write(name, &good).unwrap();
    }
    let mut client = repository.offline_client();
    client.refresh(repository.now).await.unwrap();
    client.target("file.txt", repository.now).await.unwrap();
    println!("{mutants} changed files, none accepted");
    assert!(mutants > 1000);
}

#[tokio::test]
async fn an_unwritable_cache_does_not_make_it_less_true() {
    let mut repository = TufRepository::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let nowhere = Cache::new(file.path().join("no-directory"));
    let source = sealift_keyless::tuf::Repository::new(&repository.service_url(), crate::support::transport());
    let root = repository.file("/1.root.json").unwrap();
    let client = sealift_keyless::tuf::TufClient::new(&root, nowhere.clone(), nowhere, Some(source));
    let mut client = client.unwrap();
    repository.bump();
    client.refresh(repository.now).await.unwrap();
    assert_eq!(client.target("file.txt", repository.now).await.unwrap(), &b"content"[..]);
}

#[tokio::test]
async fn delegations_are_searched_depth_first() {
    let mut repository = TufRepository::new().await;
    for (parent, role, paths) in
        [("targets", "A", ["*"]), ("targets", "B", ["*"]), ("A", "C", ["*"]), ("A", "D", ["*.py"]), ("B", "A", ["*"])]
    {
        repository.delegate(parent, role, &paths);
    }
    repository.delegated.get_mut("C").unwrap()["targets"]["by-c"] = describe(b"c");
    repository.put_target("by-c", b"c");
    repository.publish();
    let mut client = repository.refresh().await.unwrap();
    let error = client.target("missing", repository.now).await.unwrap_err();
    assert!(matches!(error, TufError::NotListed { .. }), "{error:?}");
    assert_eq!(repository.requests()[4..], ["/1.A.json", "/1.C.json", "/1.B.json"]);
    let mut client = repository.refresh().await.unwrap();
    assert_eq!(client.target("by-c", repository.now).await.unwrap(), &b"c"[..]);

    // No wildcard crosses a `/`, so nobody may name this one.
    let mut client = repository.refresh().await.unwrap();
    let before = repository.requests().len();
    client.target("deep/missing", repository.now).await.unwrap_err();
    assert_eq!(repository.requests().len(), before);

    // A terminating delegation ends the search, also when it finds nothing.
    repository.targets["delegations"]["roles"][0]["terminating"] = true.into();
    repository.bump();
    let mut client = repository.refresh().await.unwrap();
    let before = repository.requests().len();
    client.target("missing", repository.now).await.unwrap_err();
    assert!(!repository.requests()[before..].contains(&"/1.B.json".to_owned()));
}

#[tokio::test]
async fn a_search_among_too_many_roles_is_no_answer() {
    let mut repository = TufRepository::new().await;
    for number in 0..40 {
        repository.delegate("targets", &format!("R{number}"), &["*"]);
    }
    repository.delegated.get_mut("R39").unwrap()["targets"]["by-the-last"] = describe(b"last");
    repository.put_target("by-the-last", b"last");
    repository.publish();
    let mut client = repository.refresh().await.unwrap();
    let error = client.target("by-the-last", repository.now).await.unwrap_err();
    assert!(matches!(error, TufError::TooManyRoles { limit: 32, .. }), "{error:?}");
}

#[tokio::test]
async fn a_root_that_none_can_follow_is_malformed() {
    let mut repository = TufRepository::new().await;
    repository.root["version"] = u64::MAX.into();
    let root = repository.sign(&repository.root, "root", None);
    let error = TufClient::new(&root, repository.cache(), repository.cache(), None).unwrap_err();
    assert!(matches!(error, TufError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn names_of_roles_lead_nowhere_else() {
    for role in ["?", "#", "/delegatedrole", "../delegatedrole"] {
        let mut repository = TufRepository::new().await;
        repository.delegate("targets", role, &["*"]);
        repository.publish();
        let mut client = repository.refresh().await.unwrap();
        let error = client.target("missing", repository.now).await.unwrap_err();
        assert!(matches!(error, TufError::NotListed { .. }), "{role}: {error:?}");
        let files = std::fs::read_dir(repository.cache().directory()).unwrap().count();
        assert_eq!(files, 4, "timestamp, snapshot, targets and {role}");
    }
    for name in ["root", "timestamp", ""] {
        let mut repository = TufRepository::new().await;
        repository.delegate("targets", "role", &["*"]);
        repository.targets["delegations"]["roles"][0]["name"] = name.into();
        repository.publish();
        let error = repository.refresh().await.unwrap_err();
        assert!(matches!(error, TufError::Malformed { .. }), "{name}: {error:?}");
    }
    // A file whose name leads out of the cache is kept inside of it (CVE-2026-24137, CVE-2026-24686).
    let mut repository = TufRepository::new().await;
    repository.add("../../escaped", b"content");
    repository.publish();
    let mut client = repository.refresh().await.unwrap();
    // URLs have no dots that lead up, so the repository is asked for something that it does not have.
    client.target("../../escaped", repository.now).await.unwrap_err();
    assert!(!repository.cache().directory().join("../../escaped").exists());
}

#[tokio::test]
async fn endless_and_malformed_answers_are_errors() {
    let cases: [(&str, Vec<u8>); 6] = [
        ("/timestamp.json", vec![b' '; 17 * 1024]),
        ("/timestamp.json", b"{}".to_vec()),
        ("/timestamp.json", b"[".repeat(10_000)),
        ("/2.root.json", b"{\"signed\":{},\"signatures\":[]}".to_vec()),
        ("/1.snapshot.json", vec![b' '; 2 * 1024 * 1024 + 1]),
        ("/1.targets.json", Vec::new()),
    ];
    for (path, body) in cases {
        let repository = TufRepository::new().await;
        repository.put(path, body);
        let error = repository.refresh().await.unwrap_err();
        assert!(matches!(error, TufError::TooLarge { .. } | TufError::Json { .. }), "{path}: {error:?}");
    }
    // What never ends is read up to the bound, which is what was signed where that says a length.
    let target = "/targets/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73.file.txt";
    for (path, most) in [
        ("/2.root.json", 512 * 1024),
        ("/timestamp.json", 16 * 1024),
        ("/1.snapshot.json", 2 * 1024 * 1024),
        ("/1.targets.json", 5 * 1024 * 1024),
        (target, 7),
    ] {
        let repository = TufRepository::new().await;
        repository.put(path, ENDLESS.to_vec());
        let read = async || repository.refresh().await?.target("file.txt", repository.now).await;
        let error = read().await.unwrap_err();
        assert!(matches!(error, TufError::TooLarge { limit, .. } if limit == most), "{path}: {error:?}");
    }
    let repository = TufRepository::new().await;
    for (field, value) in [
        ("version", json!(0)),
        ("version", json!(-1)),
        ("version", json!(1.5)),
        ("expires", json!("soon")),
        ("spec_version", json!("2.0.0")),
        ("_type", json!("snapshot")),
        ("meta", json!({})),
    ] {
        let mut body = repository.timestamp.clone();
        body[field] = value.clone();
        repository.put("/timestamp.json", repository.sign(&body, "timestamp", None));
        let error = repository.refresh().await.unwrap_err();
        assert!(matches!(error, TufError::Json { .. } | TufError::Malformed { .. }), "{field} {value}: {error:?}");
    }
}

#[tokio::test]
async fn unknown_fields_are_part_of_what_is_signed() {
    let mut repository = TufRepository::new().await;
    repository.timestamp["x-custom"] = json!({ "b": [1, 2], "a": "text" });
    repository.bump();
    repository.refresh().await.unwrap();
    let mut file: Value = serde_json::from_slice(&repository.file("/timestamp.json").unwrap()).unwrap();
    file["signed"]["x-custom"]["a"] = "changed".into();
    file["signed"]["version"] = 3.into();
    repository.put("/timestamp.json", file.to_string().into_bytes());
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TufError::Threshold { .. }), "{error:?}");
}
