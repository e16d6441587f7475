#if TLS
  private import COpenSSL

  /// Tells whether a file is the one that was read: certificates are renewed while programs run.
  struct FileVersion: Equatable {
    private var inode: Int64 = 0
    private var size: Int64 = 0
    private var seconds: Int64 = 0
    private var nanoseconds: Int64 = 0

    /// The version of the file at `path`, which is all zeros if there is none.
    init(path: String) {
      _ = unsafe arl_tls_file_version(path, &inode, &size, &seconds, &nanoseconds)
    }
  }
#endif
