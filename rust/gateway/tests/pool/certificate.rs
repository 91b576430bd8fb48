//! A certificate that signs itself, for `localhost`.

use std::sync::Arc;

use omnimind_gateway::pool::Trust;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// What a server of these protocols begins with, and who believes it.
pub(crate) fn localhost(protocols: &[&[u8]]) -> (ServerConfig, Arc<Trust>) {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).unwrap();
    let certificate = CertificateDer::from(certificate(&pair, &random));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_ref().to_vec()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    (config, Arc::new(Trust::only(roots)))
}

const SEQUENCE: u8 = 0x30;
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const EC_PUBLIC_KEY_P256: &[u8] =
    &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 4, 3];
const ALTERNATIVE_NAME: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x11];

/// X.509 version 3 in DER, valid for this century's first half.
fn certificate(pair: &EcdsaKeyPair, random: &SystemRandom) -> Vec<u8> {
    let algorithm = der(SEQUENCE, &[ECDSA_WITH_SHA256]);
    let common = der(SEQUENCE, &[COMMON_NAME, &der(0x0c, &[b"localhost"])]);
    let name = der(SEQUENCE, &[&der(0x31, &[&common])]);
    let validity = der(SEQUENCE, &[&der(0x17, &[b"200101000000Z"]), &der(0x17, &[b"491231235959Z"])]);
    let public =
        der(SEQUENCE, &[&der(SEQUENCE, &[EC_PUBLIC_KEY_P256]), &der(0x03, &[&[0], pair.public_key().as_ref()])]);
    let names = der(SEQUENCE, &[&der(0x82, &[b"localhost"])]);
    let extension = der(SEQUENCE, &[ALTERNATIVE_NAME, &der(0x04, &[&names])]);
    let extensions = der(0xa3, &[&der(SEQUENCE, &[&extension])]);
    let version = der(0xa0, &[&der(0x02, &[&[2]])]);
    let body =
        der(SEQUENCE, &[&version, &der(0x02, &[&[1]]), &algorithm, &name, &validity, &name, &public, &extensions]);
    let signature = pair.sign(random, &body).unwrap();
    der(SEQUENCE, &[&body, &algorithm, &der(0x03, &[&[0], signature.as_ref()])])
}

/// One value: tag, length, contents.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut out = vec![tag];
    match contents.len() {
        short @ 0..=0x7f => out.push(short.try_into().unwrap()),
        middle @ 0x80..=0xff => out.extend([0x81, middle.try_into().unwrap()]),
        long => {
            out.push(0x82);
            out.extend_from_slice(&u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(&contents);
    out
}
