// Signs and verifies with sigstore-js, so that the interop tests can call it as a program.
//
//   node sigstore.js sign CONFIG.json FILE BUNDLE       CONFIG: identityToken, fulcioURL, rekorURL, tsaServerURL
//   node sigstore.js verify CONFIG.json FILE BUNDLE     CONFIG: trustedRoot (a file), subject, issuer, timestamps
const fs = require('fs');
const { sign } = require('sigstore');
const { bundleFromJSON, bundleToJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const json = (path) => JSON.parse(fs.readFileSync(path, 'utf8'));

async function main([verb, configPath, file, bundlePath]) {
  const config = json(configPath);
  const artifact = fs.readFileSync(file);
  if (verb === 'sign') {
    const bundle = await sign(artifact, { ...config, tlogUpload: true });
    fs.writeFileSync(bundlePath, JSON.stringify(bundle));
    return;
  }
  const trustMaterial = toTrustMaterial(TrustedRoot.fromJSON(json(config.trustedRoot)));
  const verifier = new Verifier(trustMaterial, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: config.timestamps });
  const bundle = bundleFromJSON(json(bundlePath));
  const policy = { subjectAlternativeName: config.subject, extensions: { issuer: config.issuer } };
  verifier.verify(toSignedEntity(bundle, bundle.content.$case === 'messageSignature' ? artifact : undefined), policy);
  if (bundleToJSON(bundle).mediaType !== json(bundlePath).mediaType) throw new Error('the bundle changed on the way');
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
