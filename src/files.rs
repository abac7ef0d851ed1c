//! Files in folders that others may write to.
//!
//! Somebody may have put a pipe, a device or a link where a file belongs. Nothing here waits for a pipe, and nothing is
//! written through a link.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::libc::{ELOOP, O_NONBLOCK};

/// Before a file is read again that the system did not let be read. Together they are so short that nobody minds that
/// everything else waits.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// Opens what a command has written: a regular file, or a link to one.
///
/// # Errors
/// Whatever the system says; [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub(crate) fn open_output(path: &Path) -> io::Result<File> {
    let regular = |metadata: Metadata| {
        let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        metadata.is_file().then_some(()).ok_or_else(irregular)
    };
    // Opening some devices does something, and sockets cannot be opened.
    regular(fs::metadata(path)?)?;
    // Another file may have this name by now.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    regular(file.metadata()?)?;
    Ok(file)
}

/// Reads what a command has written, of at most so many bytes.
///
/// # Errors
/// Those of [`open_output`]; [`io::ErrorKind::InvalidInput`] for a larger file.
pub(crate) fn read_output(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_output(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads a file, again after each of [`PAUSES`] while the system does not let it. The inner error is about the file.
///
/// # Errors
/// The system still does not let it.
pub(crate) fn insist<T>(path: &Path, read: impl Fn(&Path) -> io::Result<T>) -> io::Result<io::Result<T>> {
    let mut pauses = PAUSES.iter();
    loop {
        match read(path) {
            Err(e) if !is_of_the_file(&e) => match pauses.next() {
                Some(pause) => sleep(*pause),
                None => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
            },
            settled => return Ok(settled),
        }
    }
}

/// Whether an error says what is, or is not, at a path. All others may pass, as of a disk, a server or a lack of
/// descriptors.
fn is_of_the_file(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), InvalidInput | IsADirectory | NotADirectory | NotFound)
        || error.raw_os_error() == Some(ELOOP)
}

/// Creates a file in place of whatever has its name.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    File::create_new(path)
}

/// Writes a whole file, in place of whatever has its name: at any time, readers find all of the old or all of the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    // Of which the umask takes its share.
    builder.permissions(Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(path.parent().unwrap_or(path))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Opens a file of a study. Anything but a regular one is an error, and is neither followed nor waited for.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let irregular = || io::Error::other("it is a link, or no regular file; remove it");
    let opened = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path);
    let file = opened.map_err(|e| if e.raw_os_error() == Some(ELOOP) { irregular() } else { e })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// The content of a file of a study.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new file, on disk when this returns, in place of whatever has that name. It gets mode and owner of `like`.
pub(crate) fn write_new(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> io::Result<()> {
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
pub(crate) fn remove(path: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::libc::{EIO, EMFILE, ESTALE};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_regular_files_and_links_to_them_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), b"\xffab").unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(read_output(&path("link"), 3).unwrap(), b"\xffab");
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        symlink("pipe", path("link to a pipe")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for name in ["pipe", "link to a pipe", "device", "directory", "socket"] {
            assert_eq!(read_output(&path(name), 3).unwrap_err().to_string(), "it is no regular file", "{name}");
        }
        assert_eq!(read_output(&path("file"), 2).unwrap_err().to_string(), "it has more than 2 bytes");
    }

    #[test]
    fn nothing_is_written_through_a_link_or_into_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let ways: [fn(&Path) -> io::Result<()>; 2] =
            [|path| write(path, b"new"), |path| create(path)?.write_all(b"new")];
        for way in ways {
            fs::write(path("precious"), "old").unwrap();
            for name in ["link", "hard link", "pipe", "nothing"] {
                let _ = fs::remove_file(path(name));
                match name {
                    "link" => symlink("precious", path(name)).unwrap(),
                    "hard link" => fs::hard_link(path("precious"), path(name)).unwrap(),
                    "pipe" => mkfifo(&path(name), Mode::S_IRWXU).unwrap(),
                    _ => {}
                }
                way(&path(name)).unwrap();
                assert_eq!(fs::read(path(name)).unwrap(), b"new", "{name}");
            }
            assert_eq!(fs::read(path("precious")).unwrap(), b"old");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5, "no temporary file stays");
    }

    #[test]
    fn a_read_that_the_system_refuses_is_tried_again() {
        for error in [EIO, EMFILE, ESTALE] {
            for failures in [1, PAUSES.len(), PAUSES.len() + 1] {
                let calls = Cell::new(0);
                let read = |_: &Path| {
                    calls.set(calls.get() + 1);
                    if calls.get() > failures { Ok(calls.get()) } else { Err(io::Error::from_raw_os_error(error)) }
                };
                match insist(Path::new("result.json"), read) {
                    Ok(read) => assert_eq!(read.unwrap(), failures + 1),
                    Err(e) => assert!(failures > PAUSES.len() && e.to_string().starts_with("result.json: "), "{e}"),
                }
            }
        }
        let missing = insist(Path::new("result.json"), |_| Err::<(), _>(io::ErrorKind::NotFound.into()));
        assert_eq!(missing.unwrap().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
