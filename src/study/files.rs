//! Files in a study's folder, to which others may be able to write: a link or a pipe that was put there does no harm.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc::ELOOP;

/// Opens a regular file. Anything else is an error, and is neither followed nor waited for.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let irregular = || io::Error::other("it is a link, or no regular file; remove it");
    let opened = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path);
    let file = opened.map_err(|e| if e.raw_os_error() == Some(ELOOP) { irregular() } else { e })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// The content of a regular file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new file, on disk when this returns, in place of whatever has that name. It gets mode and owner of `like`.
pub(super) fn write_new(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    remove(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if like.is_some() {
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    like.map_or(Ok(()), |like| resemble(&file, like))?;
    file.sync_all()
}

/// Removes a file that need not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn resemble(file: &File, like: &Metadata) -> io::Result<()> {
    // Only root may give a file away.
    let _ = fchown(file, Some(like.uid()), None);
    let same_group = fchown(file, None, Some(like.gid())).is_ok();
    // What the old group was allowed is not for another one.
    let mode = if same_group { like.mode() } else { like.mode() & !0o070 };
    file.set_permissions(Permissions::from_mode(mode & 0o777))
}
