//! Tiles and bundles against an independent implementation (`tlog_tiles`), and foreign paths and bytes.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use stele_core::Error;
use stele_core::checkpoint::tile::{self, TileKind, TilePath, tiles};
use stele_core::checkpoint::tiler::Tiler;
use stele_core::merkle::{self, Frontier, Hash, HashReader};

fn entry(i: u64) -> Vec<u8> {
    vec![7; usize::try_from(i % 5).unwrap()]
}

struct Tree(HashMap<(u8, u64), Hash>);

impl Tree {
    fn of(size: u64) -> Self {
        let mut frontier = Frontier::new();
        let new = (0..size).flat_map(|i| frontier.push(merkle::leaf_hash(&entry(i))));
        Self(new.map(|s| ((s.level, s.index), s.hash)).collect())
    }
}

impl HashReader for Tree {
    type Error = Error;
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Error> {
        Ok(self.0[&(level, index)])
    }
}

/// The oracle writes paths of Go's checksum database: with the tile's height, and `data` for entries.
fn as_oracle(path: &TilePath) -> String {
    let path = path.to_string().replace("entries", "data");
    path.replacen("tile/", "tile/8/", 1)
}

proptest! {
    #[test]
    fn paths_equal_the_oracles(level in 0..=63_u8, index: u64, shift in 0..64_u32, width in 1..=256_u16, entries: bool) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let path = TilePath::new(kind, index >> shift, width).unwrap();
        let oracle = tlog_tiles::Tile::new(8, if entries { 0 } else { level }, index >> shift, width.into(), entries);
        prop_assert_eq!(as_oracle(&path), oracle.path());
        prop_assert_eq!(path.to_string().parse::<TilePath>().unwrap(), path);
    }

    #[test]
    fn foreign_paths_have_one_form(
        path in prop_oneof![
            "tile/([0-9]{1,3}|entries)/(x[0-9]{3}/){0,7}x?[0-9]{1,4}(\\.p/[0-9]{1,4})?",
            "(tile|/|entries|x|[0-9]{1,3}|\\.p|\\.|\\PC){0,12}",
        ],
    ) {
        if let Ok(tile) = path.parse::<TilePath>() {
            prop_assert_eq!(tile.to_string(), path);
            // Arithmetic on whatever a path may name.
            let _ = (tile.is_within(u64::MAX), tile.start(), tile.is_full());
        }
    }

    #[test]
    fn foreign_bundles_do_not_panic(bytes in proptest::collection::vec(0..4_u8, 0..1200)) {
        if let Ok(entries) = tile::decode_bundle(&bytes) {
            prop_assert!((1..=256).contains(&entries.len()));
            prop_assert_eq!(tile::encode_bundle(&entries).unwrap(), bytes);
        }
    }
}

#[test]
fn a_tree_has_the_oracles_tiles() {
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000] {
        let ours: BTreeSet<_> = tiles(size)
            .filter(|t| t.kind() != TileKind::Entries)
            .map(|t| as_oracle(&t))
            .collect();
        let theirs: BTreeSet<_> = tlog_tiles::Tile::new_tiles(8, 0, size)
            .iter()
            .map(tlog_tiles::Tile::path)
            .collect();
        assert_eq!(ours, theirs, "{size}");
        assert!(tiles(size).all(|t| t.is_within(size)), "{size}");
        let entries: u64 = tiles(size)
            .filter(|t| t.kind() == TileKind::Entries)
            .map(|t| u64::from(t.width()))
            .sum();
        assert_eq!(entries, size);
    }
    // The example of the specification.
    let of_70_000: Vec<_> = tiles(70_000).filter(|t| !t.is_full()).map(|t| t.to_string()).collect();
    let expected = [
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ];
    assert_eq!(of_70_000, expected);
}

#[test]
fn the_tiler_makes_every_file_of_the_tree() {
    const MAX: u64 = 66_000;
    let tree = Tree::of(MAX);
    let (mut tiler, mut full) = (Tiler::new(), BTreeMap::new());
    for size in 0..=MAX {
        if [0, 1, 255, 256, 257, 700, 65_535, 65_536, 65_537, MAX].contains(&size) {
            assert_eq!(tiler.size(), size);
            assert_eq!(tiler.root(), merkle::root(size, &tree).unwrap());
            let mut files = full.clone();
            files.extend(tiler.clone().partials().unwrap().into_iter().map(|f| (f.path, f.bytes)));
            assert_eq!(
                files.keys().copied().collect::<BTreeSet<_>>(),
                tiles(size).collect::<BTreeSet<_>>(),
                "{size}"
            );
            for (path, bytes) in files {
                let start = path.start();
                match path.kind() {
                    TileKind::Hashes(_) => assert_eq!(bytes, path.hash_tile(size, &tree).unwrap(), "{path}"),
                    TileKind::Entries => {
                        let entries: Vec<_> = (start..start + u64::from(path.width())).map(entry).collect();
                        assert_eq!(tile::decode_bundle(&bytes).unwrap(), entries, "{path}");
                    }
                }
            }
        }
        full.extend(tiler.push(&entry(size)).unwrap().into_iter().map(|f| (f.path, f.bytes)));
    }
}

#[test]
fn an_entry_too_long_leaves_the_tiler_as_it_was() {
    let mut tiler = Tiler::new();
    tiler.push(&[1; 65_535]).unwrap();
    let before = (tiler.root(), tiler.clone().partials().unwrap());
    assert!(tiler.push(&[1; 65_536]).is_err());
    assert_eq!((tiler.root(), tiler.partials().unwrap()), before);
}

#[test]
fn paths_that_are_no_tile_are_refused() {
    for good in [
        "tile/0/000",
        "tile/63/x001/x234/067",
        "tile/entries/000.p/255",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
    ] {
        assert_eq!(good.parse::<TilePath>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile//000",
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/256/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/+00",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/xx01/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/entries/x1/000",
        "tile/data/000",
        "tile/0/../000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(bad.parse::<TilePath>().is_err(), "{bad}");
    }
    assert!(TilePath::new(TileKind::Hashes(64), 0, 1).is_err());
    assert!(TilePath::new(TileKind::Entries, 0, 0).is_err());
    assert!(TilePath::new(TileKind::Entries, 0, 257).is_err());
}

#[test]
fn bundles_and_tiles_have_bounds() {
    let entries = vec![vec![], vec![1; 65_535], vec![2; 3]];
    let bundle = tile::encode_bundle(&entries).unwrap();
    assert_eq!(tile::decode_bundle(&bundle).unwrap(), entries);
    assert!(tile::encode_bundle(&[vec![0; 65_536]]).is_err());
    for cut in [0, 1, 3, bundle.len() - 1] {
        assert!(tile::decode_bundle(&bundle[..cut]).is_err(), "{cut}");
    }
    assert!(tile::decode_bundle(&[0; 512]).is_ok());
    assert!(tile::decode_bundle(&[0; 514]).is_err());
    assert!(tile::decode_hashes(&[0; 8192]).is_ok());
    for bytes in [0, 31, 33, 8224] {
        assert!(tile::decode_hashes(&vec![0; bytes]).is_err(), "{bytes}");
    }
    let leaves: Vec<_> = entries.iter().map(|e| merkle::leaf_hash(e)).collect();
    let slices: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    tile::verify_bundle(&slices, &leaves).unwrap();
    assert!(tile::verify_bundle(&slices[..2], &leaves).is_err());
    assert!(tile::verify_bundle(&slices, &leaves[1..]).is_err());
}

/// Going on after any size is the same as never having stopped, and reads nothing but the right edge.
#[test]
fn a_tiler_goes_on_from_the_right_edge() {
    for stop in [0, 1, 5, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 65_537, 66_000] {
        let mut whole = Tiler::new();
        for i in 0..stop {
            whole.push(&entry(i)).unwrap();
        }
        let edge: BTreeMap<_, _> = whole
            .clone()
            .partials()
            .unwrap()
            .into_iter()
            .map(|f| (f.path, f.bytes))
            .collect();
        let mut read = 0;
        let mut resumed = Tiler::resume(stop, |path| {
            read += 1;
            Ok::<_, Error>(edge[&path].clone())
        })
        .unwrap();
        assert_eq!(read, edge.len(), "{stop}");
        assert_eq!((resumed.size(), resumed.root()), (stop, whole.root()));
        for i in stop..stop + 600 {
            assert_eq!(
                resumed.push(&entry(i)).unwrap(),
                whole.push(&entry(i)).unwrap(),
                "{stop}"
            );
        }
        assert_eq!(resumed.root(), whole.root());
        assert_eq!(resumed.partials().unwrap(), whole.partials().unwrap());
    }
}

#[test]
fn a_bad_right_edge_is_refused_or_has_another_root() {
    let mut tiler = Tiler::new();
    for i in 0..300 {
        tiler.push(&entry(i)).unwrap();
    }
    let (root, edge) = (tiler.root(), tiler.partials().unwrap());
    for (number, file) in edge.iter().enumerate() {
        let with = |change: fn(&mut Vec<u8>)| {
            Tiler::resume(300, |path| {
                let mut bytes = edge.iter().find(|f| f.path == path).unwrap().bytes.clone();
                if path == file.path {
                    change(&mut bytes);
                }
                Ok::<_, Error>(bytes)
            })
        };
        assert!(
            with(|bytes| bytes[3] ^= 1).is_err() || with(|bytes| bytes[3] ^= 1).unwrap().root() != root,
            "{number}"
        );
        assert!(
            with(|bytes| {
                bytes.pop();
            })
            .is_err(),
            "{number}"
        );
        assert!(with(Vec::clear).is_err(), "{number}");
    }
}
