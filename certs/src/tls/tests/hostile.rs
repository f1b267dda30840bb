//! Certificates that must be refused, each with an error that says what it is.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa};
use rustls::{CertificateError, Error, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::*;
use crate::{
    IdentityError,
    fixture::{Rogue, dns, uri},
};

const ORDERS: &str = "spiffe://mesh.local/ns/shop/sa/orders";

type Shape = fn(&mut CertificateParams);
type Is<T> = fn(&T) -> bool;

fn named(params: &mut CertificateParams) {
    params.subject_alt_names = vec![uri(ORDERS)];
}

/// What both sides say of a leaf that a trusted root has signed: a client's refusal of a server, a server's of a client.
fn both_ways(rogue: &Rogue, extra: &[CertificateDer<'static>], shape: Shape) -> [Error; 2] {
    let (leaf, key) = rogue.sign(shape);
    let chain = std::iter::once(leaf).chain(extra.iter().cloned()).collect();
    let key = provider().key_provider.load_private_key(PrivatePkcs8KeyDer::from(key).into()).unwrap();
    let certified = CertifiedKey::new(chain, key); // `from_der` would refuse some of them itself
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let good = MeshTls::new(&Mesh::new().leaf("users"), &rogue.bundle()).unwrap();

    let server = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(&[&TLS13]).unwrap();
    let mut server = server.with_no_client_auth().with_cert_resolver(resolver.clone());
    server.alpn_protocols = vec![MESH_PROTOCOL.to_vec()];
    let by_client = handshake(good.client_for(&id("orders")), Arc::new(server)).unwrap_err();

    let mut client = ClientConfig::clone(&good.client_for(&id("users")));
    client.client_auth_cert_resolver = resolver;
    let mesh = Mesh::new();
    let both = rogue.bundle().with(&mesh.bundle()).unwrap();
    let server = MeshTls::new(&mesh.leaf("users"), &both).unwrap().server();
    let trusting = ServerVerifier::new(&both, id("users"));
    client.dangerous().set_certificate_verifier(Arc::new(trusting));
    let by_server = handshake(Arc::new(client), server).unwrap_err();
    [by_client, by_server]
}

#[test]
fn a_leaf_that_names_no_workload_is_refused_by_both_sides() {
    let rogue = Rogue::new(|_| ());
    let cases: [(Shape, Is<IdentityError>); 4] = [
        (|_| (), |e| *e == IdentityError::NoUri),
        (|params| params.subject_alt_names = vec![dns("orders.shop.svc")], |e| *e == IdentityError::NoUri),
        (
            |params| params.subject_alt_names = vec![uri(ORDERS), uri("spiffe://mesh.local/ns/shop/sa/users")],
            |e| *e == IdentityError::ManyUris { count: 2 },
        ),
        (
            |params| params.subject_alt_names = vec![uri("spiffe://mesh.local/orders")],
            |e| matches!(e, IdentityError::NotSpiffe { .. }),
        ),
    ];
    for (shape, is_expected) in cases {
        for error in both_ways(&rogue, &[], shape) {
            let source = match refused(&error) {
                Some(RefusedPeer::NotThe { source, .. } | RefusedPeer::Nobody(source)) => source,
                other => panic!("{other:?} of {error:?}"),
            };
            assert!(is_expected(source), "{source:?}");
        }
    }
}

#[test]
fn a_leaf_whose_chain_is_bad_is_refused_by_both_sides() {
    fn at(params: &mut CertificateParams, from: i64, to: i64) {
        named(params);
        params.not_before = time::OffsetDateTime::from_unix_timestamp(from).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(to).unwrap();
    }
    let rogue = Rogue::new(|_| ());
    let cases: [(&str, Shape, Is<CertificateError>); 5] = [
        ("expired", |p| at(p, 0, 1_000_000), |e| matches!(e, CertificateError::ExpiredContext { .. })),
        (
            "early",
            |p| at(p, 9_000_000_000, 9_100_000_000),
            |e| matches!(e, CertificateError::NotValidYetContext { .. }),
        ),
        (
            "an authority",
            |p| {
                named(p);
                p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            },
            |e| matches!(e, CertificateError::Other(_)),
        ),
        (
            "for mail",
            |p| {
                named(p);
                p.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
            },
            |e| matches!(e, CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose),
        ),
        (
            "unknown and critical",
            |p| {
                named(p);
                let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(true);
                p.custom_extensions = vec![extension];
            },
            |e| matches!(e, CertificateError::Other(_)),
        ),
    ];
    for (what, shape, is_expected) in cases {
        for error in both_ways(&rogue, &[], shape) {
            let Error::InvalidCertificate(bad) = &error else { panic!("{what}: {error:?}") };
            assert!(is_expected(bad) && refused(&error).is_none(), "{what}: {bad:?}");
        }
    }
}

#[test]
fn a_foreign_root_is_refused_by_both_sides() {
    let (ours, theirs) = (Mesh::new(), Mesh::new());
    let (orders, users) = (tls(&ours, "orders"), tls(&theirs, "users"));
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(handshake(orders.client_for(&id("users")), users.server()).unwrap_err(), unknown);
    let credulous = MeshTls::new(&theirs.leaf("users"), &ours.bundle().with(&theirs.bundle()).unwrap()).unwrap();
    assert_eq!(handshake(credulous.client_for(&id("orders")), orders.server()).unwrap_err(), unknown);
}

#[test]
fn a_root_that_may_not_sign_such_names_is_refused() {
    let rogue = Rogue::new(|params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
            excluded_subtrees: vec![],
        });
    });
    let shape: Shape = |params| params.subject_alt_names = vec![uri(ORDERS), dns("mesh.local")];
    for error in both_ways(&rogue, &[], shape) {
        assert!(matches!(error, Error::InvalidCertificate(_)), "{error:?}");
    }
}

#[test]
fn a_huge_certificate_or_chain_is_refused_by_both_sides() {
    let rogue = Rogue::new(|_| ());
    let huge: Shape = |params| params.subject_alt_names = vec![uri(&format!("spiffe://{}", "a".repeat(30_000)))];
    let long: Vec<_> = (0..6).map(|_| rogue.certificate.clone()).collect();
    let too_large = both_ways(&rogue, &[], huge).into_iter().chain(both_ways(&rogue, &long, named));
    for error in too_large {
        let Some(RefusedPeer::NotThe { source, .. } | RefusedPeer::Nobody(source)) = refused(&error) else {
            panic!("{error:?}");
        };
        assert!(matches!(source, IdentityError::TooLarge { .. }));
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_by_the_mesh() {
    let mesh = Mesh::new();
    let mut client = ClientConfig::clone(&control_client(&mesh.bundle(), None, &id("users")).unwrap());
    client.alpn_protocols = vec![MESH_PROTOCOL.to_vec()];
    let error = handshake(Arc::new(client), tls(&mesh, "users").server()).unwrap_err();
    assert_eq!(error, Error::NoCertificatesPresented);
}

#[test]
fn a_leaf_that_has_expired_is_refused_although_it_was_good() {
    let mesh = Mesh::new();
    let now = SystemTime::now();
    let mut over = crate::Validity::lasting(now, Duration::from_secs(60));
    (over.not_before, over.not_after) = (now - Duration::from_secs(300), now - Duration::from_secs(2));
    let server = MeshTls::new(&mesh.leaf_for("users", over), &mesh.bundle()).unwrap().server();
    let error = handshake(tls(&mesh, "orders").client_for(&id("users")), server).unwrap_err();
    assert!(matches!(error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error:?}");
}
