//! An object store that is written once and never over: an object is whole, compared with what was meant, or not there.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, ListResult, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use tokio_stream::StreamExt as _;
use watchfire_ledger::{ChainHash, FileSum};

use crate::error::ShipError;
use crate::throttle::Throttle;

/// Files up to this size go in one request, longer ones in parts of it. One part of each file that is under way is in
/// memory.
pub(crate) const PART_BYTES: u64 = 8 << 20;

/// Where an object says what it is: BLAKE3 in hexadecimal.
const HASH_KEY: &str = "blake3";

/// How objects are got at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// By requests, with metadata.
    Remote,
    /// As files below the directory, without metadata.
    Directory(PathBuf),
}

/// What became of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Put {
    /// It was written.
    Written,
    /// It was there already, the same.
    Present,
}

/// A place for objects.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Path,
    access: Access,
}

impl Store {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, root: Path, access: Access) -> Self {
        Self { objects, root, access }
    }

    /// A store that somebody else has opened.
    #[must_use]
    pub fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self::new(objects, Path::default(), Access::Remote)
    }

    pub(crate) const fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it can be reached and listed.
    pub async fn check(&self) -> Result<(), ShipError> {
        self.folder(&self.root).await.map(drop)
    }

    pub(crate) async fn folder(&self, prefix: &Path) -> Result<ListResult, ShipError> {
        let listed = self.objects.list_with_delimiter(Some(prefix)).await;
        listed.map_err(ShipError::store("cannot list", prefix))
    }

    /// Names of all objects below.
    pub(crate) async fn list(&self, prefix: &Path) -> Result<Vec<Path>, ShipError> {
        let mut objects = self.objects.list(Some(prefix));
        let mut names = Vec::new();
        while let Some(object) = objects.next().await {
            names.push(object.map_err(ShipError::store("cannot list", prefix))?.location);
        }
        Ok(names)
    }

    /// Reads a small object.
    pub(crate) async fn read(&self, name: &Path, bytes_max: u64) -> Result<Bytes, ShipError> {
        let failed = || ShipError::store("cannot read", name);
        let object = self.objects.get(name).await.map_err(failed())?;
        if object.meta.size > bytes_max {
            let why = format!("it has {} bytes, expected at most {bytes_max}", object.meta.size);
            return Err(ShipError::NotAsWritten { name: name.to_string(), why });
        }
        object.bytes().await.map_err(failed())
    }

    /// Reads an object piece by piece.
    pub(crate) async fn stream(
        &self,
        name: &Path,
        mut take: impl FnMut(&Bytes) -> Result<(), ShipError>,
    ) -> Result<FileSum, ShipError> {
        let failed = || ShipError::store("cannot read", name);
        let mut pieces = self.objects.get(name).await.map_err(failed())?.into_stream();
        let mut hasher = blake3::Hasher::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(failed())?;
            hasher.update(&piece);
            take(&piece)?;
        }
        Ok(sum(&hasher))
    }

    /// Writes a small object.
    pub(crate) async fn put(&self, name: &Path, bytes: Bytes, throttle: &Throttle) -> Result<Put, ShipError> {
        let expected = FileSum { bytes: bytes.len() as u64, blake3: ChainHash::of(&bytes) };
        throttle.pass(expected.bytes).await;
        let options = PutOptions {
            mode: PutMode::Create,
            attributes: self.attributes(&expected),
            ..PutOptions::default()
        };
        match self.objects.put_opts(name, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => self.settle(name, &expected).await.map(|()| Put::Written),
            Err(Error::AlreadyExists { .. }) => self.compare(name, &expected).await,
            Err(error) => Err(ShipError::store("cannot write", name)(error)),
        }
    }

    /// Writes a file that has to be as `expected`.
    pub(crate) async fn put_file(
        &self,
        name: &Path,
        path: &FilePath,
        expected: &FileSum,
        throttle: &Throttle,
    ) -> Result<Put, ShipError> {
        if expected.bytes <= PART_BYTES {
            let bytes = read_file(path).await?;
            if (FileSum { bytes: bytes.len() as u64, blake3: ChainHash::of(&bytes) }) != *expected {
                return Err(ShipError::Damaged { path: path.to_owned() });
            }
            return self.put(name, bytes.into(), throttle).await;
        }
        // The end of an upload in parts cannot be made to fail where there is an object.
        match self.compare(name, expected).await {
            Err(ShipError::Store { source: Error::NotFound { .. }, .. }) => {}
            compared => return compared,
        }
        let options =
            PutMultipartOptions { attributes: self.attributes(expected), ..PutMultipartOptions::default() };
        let upload = self.objects.put_multipart_opts(name, options).await;
        let mut upload = upload.map_err(ShipError::store("cannot write", name))?;
        if let Err(error) = put_parts(&mut *upload, name, path, expected, throttle).await {
            // Else its parts stay, without being seen.
            _ = upload.abort().await;
            return Err(error);
        }
        self.settle(name, expected).await.map(|()| Put::Written)
    }

    /// Compares what was written with what was meant; in a directory, makes it outlast a loss of power as well.
    async fn settle(&self, name: &Path, expected: &FileSum) -> Result<(), ShipError> {
        if let Access::Directory(dir) = &self.access {
            let (dir, name) = (dir.clone(), name.to_string());
            blocking(move || sync(&dir, &name))
                .await
                .map_err(ShipError::file("sync", FilePath::new("the directory")))?;
        }
        match self.compare(name, expected).await {
            Err(ShipError::Conflict { name }) => {
                Err(ShipError::NotAsWritten { name, why: "read back, its content differs".to_owned() })
            }
            compared => compared.map(drop),
        }
    }

    /// Whether the object that is there is the one that is meant.
    async fn compare(&self, name: &Path, expected: &FileSum) -> Result<Put, ShipError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let head =
            self.objects.get_opts(name, options).await.map_err(ShipError::store("cannot look at", name))?;
        let said = head.attributes.get(&Attribute::Metadata(HASH_KEY.into())).map(|hash| hash.to_string());
        let is_same = head.meta.size == expected.bytes
            && match said {
                Some(hash) => hash == expected.blake3.to_string(),
                None => self.stream(name, |_| Ok(())).await? == *expected,
            };
        if is_same { Ok(Put::Present) } else { Err(ShipError::Conflict { name: name.to_string() }) }
    }

    fn attributes(&self, expected: &FileSum) -> Attributes {
        let mut attributes = Attributes::new();
        if self.access == Access::Remote {
            attributes.insert(Attribute::Metadata(HASH_KEY.into()), expected.blake3.to_string().into());
        }
        attributes
    }
}

async fn put_parts(
    upload: &mut dyn MultipartUpload,
    name: &Path,
    path: &FilePath,
    expected: &FileSum,
    throttle: &Throttle,
) -> Result<(), ShipError> {
    let failed = || ShipError::store("cannot write", name);
    let at = path.to_owned();
    let mut file = blocking(move || File::open(at)).await.map_err(ShipError::file("open", path))?;
    let mut hasher = blake3::Hasher::new();
    loop {
        let (back, read) = blocking(move || {
            let mut part = Vec::new();
            let read = (&mut file).take(PART_BYTES).read_to_end(&mut part).map(|_| part);
            (file, read)
        })
        .await;
        file = back;
        let part = read.map_err(ShipError::file("read", path))?;
        if part.is_empty() {
            break;
        }
        hasher.update(&part);
        throttle.pass(part.len() as u64).await;
        upload.put_part(part.into()).await.map_err(failed())?;
    }
    if sum(&hasher) != *expected {
        return Err(ShipError::Damaged { path: path.to_owned() });
    }
    upload.complete().await.map(drop).map_err(failed())
}

fn sum(hasher: &blake3::Hasher) -> FileSum {
    FileSum { bytes: hasher.count(), blake3: ChainHash(*hasher.finalize().as_bytes()) }
}

/// Syncs a file and the names that lead to it.
fn sync(dir: &FilePath, name: &str) -> io::Result<()> {
    let mut path = dir.join(name);
    while path != dir {
        File::open(&path)?.sync_all()?;
        if !path.pop() {
            break;
        }
    }
    File::open(dir)?.sync_all()
}

/// Does what may wait for a disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Reads a file whole.
pub(crate) async fn read_file(path: &FilePath) -> Result<Vec<u8>, ShipError> {
    let file = path.to_owned();
    blocking(move || std::fs::read(file)).await.map_err(ShipError::file("read", path))
}
