#if os(Linux)
  import Foundation

  /// A pipe that takes only one message more than was read, so that its writer is never far ahead of its reader.
  struct NarrowPipe {
    let writing: FileHandle
    private let reading: FileHandle

    init() {
      let pipe = Pipe()
      (reading, writing) = (pipe.fileHandleForReading, pipe.fileHandleForWriting)
      // Each message fills a page of its own, and the pipe has one page. Swift cannot import the header's names.
      #if arch(arm64)
        let direct: Int32 = 0o200000
      #else
        let direct: Int32 = 0o40000
      #endif
      let setSize: Int32 = 1031
      _ = fcntl(writing.fileDescriptor, F_SETFL, direct)
      _ = fcntl(writing.fileDescriptor, setSize, 4096)
    }

    /// The next message; nil when all writers have closed the pipe.
    func read() -> String? {
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = unsafe Glibc.read(reading.fileDescriptor, &bytes, bytes.count)
      return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
  }
#endif
