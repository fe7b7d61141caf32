//! The contract of `ReadRepository` and `Repository`.
//!
//! Asks nothing that only some kinds can do: where the contract leaves a choice (who lists referrers, whether deletes
//! are allowed), the suite finds out first and holds the repository to the choice.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{
    Arrival, Content, ContentError, MemoryRepository, Pushed, ReferrersListing, Repository, RepositoryError, TagMove,
};
use serde_json::{Value, json};

/// How many writers the concurrent parts start.
const WRITERS: usize = 8;
/// Pieces of the blob that does not arrive in one, and their size.
const PIECES: (u8, usize) = (24, 128 * 1024);

/// Holds an empty repository to the whole contract.
///
/// # Panics
/// When it breaks the contract.
pub async fn repository(repository: &dyn Repository) {
    let suite = Suite { repository };
    suite.starts_empty().await;
    suite.stores_blobs().await;
    suite.refuses_content_that_does_not_match().await;
    suite.stores_manifests_as_they_are().await;
    suite.moves_tags().await;
    suite.moves_tags_from_what_they_held().await;
    suite.lets_one_of_several_take_a_tag().await;
    suite.transfers_blobs().await;
    suite.lists_referrers().await;
    suite.reads_fallback_tags_that_others_wrote().await;
    suite.leaves_squatted_tags_alone().await;
    suite.loses_nothing_to_concurrent_writers().await;
    suite.deletes().await;
}

struct Suite<'a> {
    repository: &'a dyn Repository,
}

/// Who lists referrers, as found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Listed {
    ByClient,
    ByRepository,
}

impl Suite<'_> {
    async fn starts_empty(&self) {
        let nothing = Descriptor::of(media_type::OCTET_STREAM, b"never pushed");
        assert!(!self.exists(&nothing).await, "a blob that was never pushed does not exist");
        not_found(self.repository.fetch(&nothing).await.map(drop), "fetching an unknown blob");
        let digest = Selector::Digest(nothing.digest.clone());
        not_found(self.repository.resolve(&digest).await, "resolving an unknown digest");
        not_found(self.repository.manifest(&digest).await, "reading an unknown digest");
        not_found(self.repository.resolve(&tag("none").into()).await, "resolving an unknown tag");
        not_found(self.repository.manifest(&tag("none").into()).await, "reading an unknown tag");
        let tags = self.repository.tags().await;
        let is_none =
            matches!(&tags, Ok(tags) if tags.is_empty()) || matches!(&tags, Err(error) if error.is_not_found());
        assert!(is_none, "an empty repository has no tags: {tags:?}");
        assert!(self.listed(&nothing.digest).await.is_empty(), "nothing refers to an unknown digest");
        let fallback = self.repository.referrers(&nothing.digest, ReferrersListing::FallbackTag).await;
        assert!(matches!(fallback, Ok(None)), "a fallback tag that does not exist is no listing: {fallback:?}");
    }

    async fn stores_blobs(&self) {
        for bytes in [b"".as_slice(), b"{}", b"a blob of no special kind"] {
            let descriptor = self.push_blob("text/x-anything; charset=none", bytes).await;
            self.assert_blob(&descriptor, bytes).await;
            self.push_blob("text/x-anything; charset=none", bytes).await;
            self.assert_blob(&descriptor, bytes).await;
        }
        let pieces: Vec<Bytes> = (0..PIECES.0).map(|number| Bytes::from(vec![number; PIECES.1])).collect();
        let whole = pieces.concat();
        let descriptor = Descriptor::of(media_type::IMAGE_LAYER_GZIP, &whole);
        let content = Content::verified(&descriptor, stream::iter(pieces.into_iter().map(Ok)));
        ok(self.repository.push(&descriptor, content).await, "pushing a blob in pieces");
        self.assert_blob(&descriptor, &whole).await;
        let lying = Descriptor { size: descriptor.size - 1, ..descriptor };
        let read = match self.repository.fetch(&lying).await {
            Ok(content) => content.read_all(u64::MAX).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        assert!(read.is_err(), "a blob longer than described is refused when read");
    }

    async fn refuses_content_that_does_not_match(&self) {
        let manifest = image(b"refused", &json!({}), &Descriptor::of(media_type::EMPTY, b"{}"));
        let wanted: [(&str, &[u8]); 2] =
            [(media_type::OCTET_STREAM, b"the described bytes"), (media_type::IMAGE_MANIFEST, manifest.bytes())];
        for (kind, bytes) in wanted {
            let descriptor = Descriptor::of(kind, bytes);
            let mut other = bytes.to_vec();
            other[1] ^= 0x20;
            for (what, sent) in [
                ("with another digest", other),
                ("that is too short", bytes[..bytes.len() - 1].to_vec()),
                ("that is too long", [bytes, b" "].concat()),
                ("that is empty", vec![]),
            ] {
                let outcome = self.repository.push(&descriptor, Content::from(Bytes::from(sent))).await;
                self.assert_refused(&descriptor, outcome, what).await;
            }
            let cut = [Ok(Bytes::copy_from_slice(&bytes[..3])), Err(ContentError::Read("cut".into()))];
            let content = Content::verified(&descriptor, stream::iter(cut));
            let outcome = self.repository.push(&descriptor, content).await;
            self.assert_refused(&descriptor, outcome, "that breaks off").await;
        }
    }

    async fn stores_manifests_as_they_are(&self) {
        let config = self.push_blob(media_type::EMPTY, b"{}").await;
        let odd = format!(
            "{{\"schemaVersion\":2,\n\n \"x-unknown\" : [1.50, null],\"config\":{},\"layers\":[]}}\n",
            json!(config)
        );
        let helm = self.push_blob(media_type::HELM_CONFIG, br#"{"name":"chart"}"#).await;
        let child = image(b"child", &json!({}), &config);
        for (what, raw) in [
            ("without mediaType and with odd spacing", RawManifest::new(media_type::IMAGE_MANIFEST, odd)),
            ("of an image", child.clone()),
            ("of a chart", image(b"", &json!({"artifactType": "application/x.unknown"}), &helm)),
            ("of Docker's type", docker_image(&config)),
            ("of an index", index(&[child.descriptor()])),
        ] {
            let descriptor = raw.descriptor().clone();
            self.push_layers(&raw).await;
            let pushed = ok(self.repository.push(&descriptor, raw.bytes().clone().into()).await, what);
            assert_eq!(pushed, Pushed::Stored, "a manifest without subject needs no listing: {what}");
            self.assert_manifest(&Selector::Digest(descriptor.digest.clone()), &raw, what).await;
            assert!(self.exists(&descriptor).await, "a pushed manifest exists: {what}");
            ok(self.repository.push(&descriptor, raw.bytes().clone().into()).await, "pushing a manifest again");
            let content = ok(self.repository.fetch(&descriptor).await, "fetching a manifest");
            assert_eq!(ok(content.read_all(1 << 20).await, "reading a manifest"), *raw.bytes(), "{what}");
        }
    }

    async fn moves_tags(&self) {
        let config = self.push_blob(media_type::EMPTY, b"{}").await;
        let [first, second] = [b"first", b"other"].map(|layer| image(layer, &json!({}), &config));
        let names = [tag("v1"), tag("_under.score-1"), tag(&"x".repeat(128))];
        for name in &names {
            self.push_layers(&first).await;
            ok(self.repository.tag(&first, name).await, "tagging pushes the manifest");
            self.assert_manifest(&name.clone().into(), &first, "a tag holds what it was given").await;
        }
        self.push_layers(&second).await;
        ok(self.repository.tag(&second, &names[0]).await, "a tag moves");
        ok(self.repository.tag(&second, &names[0]).await, "tagging again changes nothing");
        self.assert_manifest(&names[0].clone().into(), &second, "a moved tag holds the new manifest").await;
        self.assert_manifest(&names[1].clone().into(), &first, "other tags stay").await;
        let digest = Selector::Digest(first.descriptor().digest.clone());
        self.assert_manifest(&digest, &first, "what a tag left is still there by digest").await;
        let mut tags = ok(self.repository.tags().await, "listing tags");
        tags.sort();
        let mut expected = names.to_vec();
        expected.sort();
        assert_eq!(tags, expected, "every tag is listed once");
    }

    async fn moves_tags_from_what_they_held(&self) {
        let [first, second] = [self.push_image(b"held").await, self.push_image(b"wanted").await];
        let never = Digest::sha256(b"never held");
        let name = tag("held");
        for (raw, previous, expected, what) in [
            (&first, Some(&never), TagMove::Holds(None), "a tag that is not there holds nothing"),
            (&first, None, TagMove::Done, "a tag is made where there is none"),
            (&second, None, holds(&first), "a tag is not made where there is one"),
            (&second, Some(&never), holds(&first), "a tag moves from nothing but what it held"),
            (&second, Some(digest_of(&first)), TagMove::Done, "a tag moves from what it held"),
            (&second, Some(digest_of(&first)), holds(&second), "a tag that has moved says what it holds"),
            (&second, Some(digest_of(&second)), TagMove::Done, "a tag moves to what it held"),
        ] {
            assert_eq!(ok(self.repository.move_tag(raw, &name, previous).await, what), expected, "{what}");
            match self.repository.manifest(&name.clone().into()).await {
                Err(error) if error.is_not_found() => assert_eq!(expected, TagMove::Holds(None), "{what}"),
                found => {
                    let found = holds(&ok(found, what));
                    assert_eq!(if expected == TagMove::Done { holds(raw) } else { expected }, found, "{what}");
                }
            }
        }
    }

    async fn lets_one_of_several_take_a_tag(&self) {
        let before = self.push_image(b"before").await;
        let mut images = vec![];
        for number in 0..WRITERS {
            images.push(self.push_image(format!("rival {number}").as_bytes()).await);
        }
        for (name, previous) in [("taken", None), ("moved", Some(&before))] {
            let name = tag(name);
            if let Some(previous) = previous {
                ok(self.repository.tag(previous, &name).await, "tagging what is moved");
            }
            let moves = images.iter().map(|raw| self.repository.move_tag(raw, &name, previous.map(digest_of)));
            let outcomes: Vec<_> =
                join_all(moves).await.into_iter().map(|outcome| ok(outcome, "moving concurrently")).collect();
            let winner = outcomes.iter().position(|outcome| *outcome == TagMove::Done);
            let winner = &images[winner.unwrap_or_else(|| panic!("nobody took tag {name}: {outcomes:?}"))];
            let others = outcomes.iter().filter(|outcome| **outcome == holds(winner)).count();
            assert_eq!(others, WRITERS - 1, "one takes a tag, and the others are told who did: {outcomes:?}");
            self.assert_manifest(&name.into(), winner, "who was told so has the tag").await;
        }
    }

    async fn transfers_blobs(&self) {
        let source = MemoryRepository::new("conformance");
        let bytes = b"a blob that moves";
        let descriptor = Descriptor::of(media_type::OCTET_STREAM, bytes);
        let missing = self.repository.transfer(&descriptor, &source).await;
        let is_source = matches!(&missing, Err(RepositoryError::Source(error)) if error.is_not_found());
        assert!(is_source, "a blob the source lacks is the source's error: {missing:?}");
        ok(source.push(&descriptor, Bytes::from_static(bytes).into()).await, "filling the source");
        let first = ok(self.repository.transfer(&descriptor, &source).await, "transferring");
        assert_eq!(first, Arrival::Copied, "a new blob is copied");
        let second = ok(self.repository.transfer(&descriptor, &source).await, "transferring again");
        assert_eq!(second, Arrival::Present, "a blob is not moved twice");
        self.assert_blob(&descriptor, bytes).await;
    }

    async fn lists_referrers(&self) {
        let subject = self.push_image(b"subject").await;
        let digest = &subject.descriptor().digest;
        let annotations = json!({"org.example.key": "value", "org.example.other": ""});
        let typed = self.referrer(
            &subject,
            b"typed",
            &json!({"artifactType": "application/x.typed", "annotations": annotations}),
        );
        let configured = self.referrer(&subject, b"configured", &json!({}));
        let nested = self.referrer(&typed, b"nested", &json!({"artifactType": "application/x.nested"}));
        for raw in [&typed, &configured, &nested] {
            self.attach(raw).await;
            self.attach(raw).await;
        }
        let listed = self.listed(digest).await;
        let digests = [&typed, &configured].map(|raw| raw.descriptor().digest.clone());
        assert_same(listed.iter().map(|entry| entry.digest.clone()), digests, "each referrer is listed once");
        let entry = entry_of(&listed, &typed);
        assert_eq!(entry.artifact_type.as_deref(), Some("application/x.typed"), "an entry has its artifact type");
        assert_eq!(json!(entry.annotations), annotations, "an entry has the manifest's annotations");
        assert!(entry.is_same_content(typed.descriptor()), "an entry has media type, digest and size");
        let entry = entry_of(&listed, &configured);
        assert_eq!(entry.artifact_type.as_deref(), Some(media_type::EMPTY), "the configuration stands in for the type");
        let below = self.listed(&typed.descriptor().digest).await;
        assert_same(below.iter().map(|entry| entry.digest.clone()), [nested.descriptor().digest.clone()], "nested");
        self.assert_manifest(&typed.descriptor().digest.clone().into(), &typed, "a referrer is a manifest").await;
        self.lists_referrers_of_what_is_not_here_yet().await;
    }

    /// Evidence may arrive before its subject (distribution-spec: the subject need not exist).
    async fn lists_referrers_of_what_is_not_here_yet(&self) {
        let config = Descriptor::of(media_type::EMPTY, b"{}");
        let absent = image(b"absent", &json!({}), &config);
        let early = self.referrer(&absent, b"early", &json!({}));
        self.attach(&early).await;
        let listed = self.listed(&absent.descriptor().digest).await;
        assert_eq!(listed.len(), 1, "a referrer may come before its subject");
    }

    async fn reads_fallback_tags_that_others_wrote(&self) {
        let subject = self.push_image(b"fallback").await;
        let digest = &subject.descriptor().digest;
        let [first, second] = [b"one".as_slice(), b"two"].map(|text| self.referrer(&subject, text, &json!({})));
        for raw in [&first, &second] {
            self.push_layers(raw).await;
            ok(self.repository.push(raw.descriptor(), raw.bytes().clone().into()).await, "pushing a referrer");
        }
        let mut odd = json!(first.descriptor());
        odd["x-unknown"] = json!({"kept": [1, "two"]});
        odd["artifactType"] = json!(media_type::EMPTY);
        let written = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": [odd], "x-top": 7});
        let written = RawManifest::new(media_type::IMAGE_INDEX, written.to_string());
        let name = Tag::referrers_fallback(digest);
        ok(self.repository.tag(&written, &name).await, "writing a fallback index as others do");
        let listed = ok(self.repository.referrers(digest, ReferrersListing::FallbackTag).await, "reading it");
        let listed = listed.unwrap_or_default();
        assert_eq!(json!(listed), json!([odd]), "an entry is given as it was written");

        let entry = ok(second.to_referrer_entry(), "describing a referrer");
        let entries = [entry, first.descriptor().clone()];
        ok(self.repository.link_referrers(digest, &entries).await, "linking");
        ok(self.repository.link_referrers(digest, &entries).await, "linking again");
        let now = ok(self.repository.manifest(&name.clone().into()).await, "reading the index");
        let now: Value = ok(serde_json::from_slice(now.bytes()), "parsing the index");
        if self.listed_by().await == Listed::ByRepository {
            assert_eq!(now["manifests"], json!([odd]), "a repository that lists by itself leaves the tag alone");
        } else {
            assert_eq!(now["manifests"], json!([odd, entries[0]]), "an entry is added once, the others stay");
            assert_eq!(now["x-top"], 7, "fields of the index stay");
        }
        self.unlinks(digest, &first, &second).await;
    }

    async fn unlinks(&self, subject: &Digest, first: &RawManifest, second: &RawManifest) {
        let [first, second] = [first, second].map(|raw| raw.descriptor().digest.clone());
        for _ in 0..2 {
            let outcome = self.repository.unlink_referrers(subject, std::slice::from_ref(&second)).await;
            ok(outcome, "unlinking, and again");
        }
        let left =
            ok(self.repository.referrers(subject, ReferrersListing::FallbackTag).await, "reading").unwrap_or_default();
        assert_same(left.into_iter().map(|entry| entry.digest), [first.clone()], "unlinking leaves the others");
        match self.repository.unlink_referrers(subject, &[first, second]).await {
            Err(RepositoryError::Unsupported { .. }) => return,
            outcome => ok(outcome, "unlinking the last"),
        }
        let left = ok(self.repository.referrers(subject, ReferrersListing::FallbackTag).await, "reading");
        assert_eq!(left.unwrap_or_default(), [], "nothing is listed any more");
        let absent = Digest::sha256(b"nothing refers to this");
        ok(
            self.repository.unlink_referrers(&absent, std::slice::from_ref(&absent)).await,
            "unlinking what was never linked",
        );
    }

    async fn leaves_squatted_tags_alone(&self) {
        let image = self.push_image(b"squatted").await;
        let index = index(&[image.descriptor()]);
        for subject in [&image, &index] {
            let digest = &subject.descriptor().digest;
            let name = Tag::referrers_fallback(digest);
            ok(self.repository.tag(subject, &name).await, "squatting a fallback tag, as cosign copy does");
            let listing = self.repository.referrers(digest, ReferrersListing::FallbackTag).await;
            let is_squatted = matches!(&listing, Err(RepositoryError::Squatted { tag, .. }) if *tag == name);
            assert!(is_squatted, "a subject under its own fallback tag is no listing: {listing:?}");
            let linked = self.repository.link_referrers(digest, &[image.descriptor().clone()]).await;
            if self.listed_by().await == Listed::ByClient {
                let is_squatted = matches!(linked, Err(RepositoryError::Squatted { .. }));
                assert!(is_squatted, "a squatted tag is not added to: {linked:?}");
            }
            let _ = self.repository.unlink_referrers(digest, std::slice::from_ref(digest)).await;
            self.assert_manifest(&name.into(), subject, "a squatted tag is left alone").await;
        }
    }

    async fn loses_nothing_to_concurrent_writers(&self) {
        let subject = self.push_image(b"contended").await;
        let digest = &subject.descriptor().digest;
        let referrers: Vec<_> = (0..WRITERS)
            .map(|number| self.referrer(&subject, format!("writer {number}").as_bytes(), &json!({})))
            .collect();
        join_all(referrers.iter().map(|raw| self.attach(raw))).await;
        let listed = self.listed(digest).await;
        let expected = referrers.iter().map(|raw| raw.descriptor().digest.clone());
        assert_same(listed.into_iter().map(|entry| entry.digest), expected, "concurrent writers lose nothing");
        let names: Vec<_> = (0..WRITERS).map(|number| tag(&format!("writer-{number}"))).collect();
        for outcome in join_all(names.iter().map(|name| self.repository.tag(&subject, name))).await {
            ok(outcome, "tagging concurrently");
        }
        for name in names {
            self.assert_manifest(&name.into(), &subject, "concurrent tags are all kept").await;
        }
    }

    async fn deletes(&self) {
        let [kept, gone] = [self.push_image(b"kept").await, self.push_image(b"gone").await];
        for (raw, name) in [(&kept, "kept"), (&kept, "dropped"), (&gone, "gone")] {
            ok(self.repository.tag(raw, &tag(name)).await, "tagging");
        }
        match self.repository.delete(&tag("dropped").into()).await {
            Err(RepositoryError::Unsupported { .. }) => return,
            outcome => ok(outcome, "deleting a tag"),
        }
        not_found(self.repository.resolve(&tag("dropped").into()).await, "resolving a deleted tag");
        self.assert_manifest(&tag("kept").into(), &kept, "deleting a tag leaves the manifest's other tags").await;
        let digest = Selector::Digest(gone.descriptor().digest.clone());
        ok(self.repository.delete(&digest).await, "deleting a manifest");
        not_found(self.repository.resolve(&digest).await, "resolving a deleted manifest");
        not_found(self.repository.resolve(&tag("gone").into()).await, "resolving a deleted manifest's tag");
        assert!(!self.exists(gone.descriptor()).await, "a deleted manifest does not exist");
        let listed = ok(self.repository.tags().await, "listing tags");
        assert!(!listed.contains(&tag("gone")) && !listed.contains(&tag("dropped")), "deleted tags are not listed");
        not_found(self.repository.delete(&tag("never").into()).await, "deleting an unknown tag");
        self.deletes_referrers().await;
    }

    async fn deletes_referrers(&self) {
        let subject = self.push_image(b"unsigned again").await;
        let digest = &subject.descriptor().digest;
        let referrer = self.referrer(&subject, b"short-lived", &json!({}));
        self.attach(&referrer).await;
        let referrer = referrer.descriptor().digest.clone();
        ok(self.repository.delete(&Selector::Digest(referrer.clone())).await, "deleting a referrer");
        ok(self.repository.unlink_referrers(digest, &[referrer]).await, "unlinking a deleted referrer");
        assert!(self.listed(digest).await.is_empty(), "a deleted referrer is not listed");
    }

    // What the parts above are made of.

    async fn exists(&self, descriptor: &Descriptor) -> bool {
        ok(self.repository.exists(descriptor).await, "asking whether content exists")
    }

    /// Returns what both listings say.
    async fn listed(&self, subject: &Digest) -> Vec<Descriptor> {
        let mut all = vec![];
        for listing in [ReferrersListing::Api, ReferrersListing::FallbackTag] {
            all.extend(ok(self.repository.referrers(subject, listing).await, "listing referrers").unwrap_or_default());
        }
        all
    }

    async fn listed_by(&self) -> Listed {
        let subject = self.push_image(b"who lists").await;
        let probe = self.referrer(&subject, b"probe", &json!({}));
        self.push_layers(&probe).await;
        match ok(self.repository.push(probe.descriptor(), probe.bytes().clone().into()).await, "pushing a referrer") {
            Pushed::Stored => Listed::ByRepository,
            Pushed::Unlisted => Listed::ByClient,
        }
    }

    async fn push_blob(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        let pushed = self.repository.push(&descriptor, Bytes::copy_from_slice(bytes).into()).await;
        assert_eq!(ok(pushed, "pushing a blob"), Pushed::Stored, "a blob needs no listing");
        descriptor
    }

    async fn push_image(&self, layer: &[u8]) -> RawManifest {
        let config = self.push_blob(media_type::EMPTY, b"{}").await;
        let raw = image(layer, &json!({}), &config);
        self.push_layers(&raw).await;
        ok(self.repository.push(raw.descriptor(), raw.bytes().clone().into()).await, "pushing an image");
        raw
    }

    /// Pushes the layers, which carry their content in `data`.
    async fn push_layers(&self, raw: &RawManifest) {
        for layer in ok(raw.parse(), "parsing a manifest of this suite").layers {
            let data = layer.other.read::<BTreeMap<String, String>>().unwrap_or_default().remove("data");
            self.push_blob(layer.media_type.as_str(), &from_base64(&data.unwrap_or_default())).await;
        }
    }

    fn referrer(&self, subject: &RawManifest, layer: &[u8], fields: &Value) -> RawManifest {
        let mut fields = fields.clone();
        fields["subject"] = json!(subject.descriptor());
        image(layer, &fields, &Descriptor::of(media_type::EMPTY, b"{}"))
    }

    async fn attach(&self, raw: &RawManifest) {
        self.push_blob(media_type::EMPTY, b"{}").await;
        self.push_layers(raw).await;
        let pushed = self.repository.push(raw.descriptor(), raw.bytes().clone().into()).await;
        if ok(pushed, "pushing a referrer") == Pushed::Unlisted {
            let subject = ok(raw.parse(), "parsing a referrer").subject.map(|subject| subject.digest);
            let entry = ok(raw.to_referrer_entry(), "describing a referrer");
            let subject = subject.unwrap_or_else(|| panic!("a referrer of this suite has a subject"));
            ok(self.repository.link_referrers(&subject, &[entry]).await, "linking a referrer");
        }
    }

    async fn assert_blob(&self, descriptor: &Descriptor, bytes: &[u8]) {
        assert!(self.exists(descriptor).await, "a pushed blob exists");
        let content = ok(self.repository.fetch(descriptor).await, "fetching a blob");
        assert_eq!(content.size(), descriptor.size, "a blob has the size described");
        let read: Vec<_> = content.into_stream().collect().await;
        let read: Result<Vec<_>, _> = read.into_iter().collect();
        assert!(ok(read, "reading a blob").concat() == bytes, "a blob's bytes are those pushed");
    }

    async fn assert_manifest(&self, selector: &Selector, expected: &RawManifest, what: &str) {
        let descriptor = ok(self.repository.resolve(selector).await, what);
        assert!(descriptor.is_same_content(expected.descriptor()), "{what}: {descriptor:?} is {expected:?}");
        let found = ok(self.repository.manifest(selector).await, what);
        assert_eq!(&found, expected, "{what}");
    }

    async fn assert_refused(&self, descriptor: &Descriptor, outcome: Result<Pushed, RepositoryError>, what: &str) {
        let Err(error) = outcome else { panic!("content {what} is refused") };
        assert!(!error.is_not_found(), "content {what} is not called missing: {error:?}");
        assert!(!self.exists(descriptor).await, "content {what} leaves nothing behind");
    }
}

/// Returns an image manifest with one layer, empty for none, whose content is in its `data`.
fn image(layer: &[u8], fields: &Value, config: &Descriptor) -> RawManifest {
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config, "layers": [],
    });
    if !layer.is_empty() {
        let mut descriptor = json!(Descriptor::of(media_type::OCTET_STREAM, layer));
        descriptor["data"] = json!(to_base64(layer));
        manifest["layers"] = json!([descriptor]);
    }
    for (name, value) in fields.as_object().into_iter().flatten() {
        manifest[name] = value.clone();
    }
    RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string())
}

fn docker_image(config: &Descriptor) -> RawManifest {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::DOCKER_MANIFEST, "config": config, "layers": [],
    });
    RawManifest::new(media_type::DOCKER_MANIFEST, manifest.to_string())
}

fn index(entries: &[&Descriptor]) -> RawManifest {
    let index = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries});
    RawManifest::new(media_type::IMAGE_INDEX, index.to_string())
}

fn digest_of(raw: &RawManifest) -> &Digest {
    &raw.descriptor().digest
}

fn holds(raw: &RawManifest) -> TagMove {
    TagMove::Holds(Some(digest_of(raw).clone()))
}

fn tag(text: &str) -> Tag {
    ok(text.parse(), "parsing a tag of this suite")
}

fn to_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    ok(base64::engine::general_purpose::STANDARD.decode(text), "decoding data of this suite")
}

fn entry_of<'a>(listed: &'a [Descriptor], raw: &RawManifest) -> &'a Descriptor {
    let entry = listed.iter().find(|entry| entry.digest == raw.descriptor().digest);
    entry.unwrap_or_else(|| panic!("{} is listed in {listed:?}", raw.descriptor().digest))
}

/// Compares what is listed, each entry once, in any order.
fn assert_same(found: impl IntoIterator<Item = Digest>, expected: impl IntoIterator<Item = Digest>, what: &str) {
    let count = |digests: &mut dyn Iterator<Item = Digest>| {
        digests.fold(BTreeMap::new(), |mut counts, digest| {
            *counts.entry(digest).or_insert(0) += 1;
            counts
        })
    };
    assert_eq!(count(&mut found.into_iter()), count(&mut expected.into_iter()), "{what}");
}

fn ok<T, E: Debug>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}

fn not_found<T: Debug>(result: Result<T, RepositoryError>, what: &str) {
    assert!(matches!(&result, Err(error) if error.is_not_found()), "{what} is answered \"not found\": {result:?}");
}
