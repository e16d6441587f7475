#if TLS
  #if canImport(Darwin)
    internal import Darwin
  #else
    internal import Glibc
  #endif

  /// Tells whether a file is the one that was read: certificates are renewed while programs run.
  struct FileVersion: Equatable {
    private let numbers: [Int]

    init(path: String) {
      var status = stat()
      guard unsafe stat(path, &status) == 0 else {
        numbers = []
        return
      }
      #if canImport(Darwin)
        let time = status.st_mtimespec
      #else
        let time = status.st_mtim
      #endif
      numbers = [
        Int(truncatingIfNeeded: status.st_ino), Int(status.st_size), time.tv_sec, time.tv_nsec,
      ]
    }
  }
#endif
