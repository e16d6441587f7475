#if os(Linux)
  import Foundation

  /// A file in a file system whose server never answers a write, and a process that hangs by it.
  ///
  /// That process keeps its memory locked: its environment cannot be read until the server ends.
  enum HungFile {
    /// Mounts the file system at a folder and serves it, and says `hangs` as soon as a process does.
    ///
    /// With `isTrial`, only finds out whether that can be done.
    static func run(at folder: String, isTrial: Bool) -> Never {
      let device = unsafe open("/dev/fuse", O_RDWR | O_CLOEXEC)
      let options = "fd=\(device),rootmode=40000,user_id=\(getuid()),group_id=\(getgid())"
      guard device >= 0, unsafe mount("hung", folder, "fuse", 0, options) == 0 else { exit(1) }
      if isTrial {
        _ = unsafe umount2(folder, Int32(MNT_DETACH))
        exit(0)
      }
      if Glibc.fork() == 0 {
        close(device)
        hang(by: folder + "/file")
      }
      while let request = Request(from: device) { answer(request, folder) }
      exit(0)
    }

    /// Dirties a mapping of the file and maps something else over it, which has to write the file first.
    private static func hang(by path: String) -> Never {
      let (file, access) = (unsafe open(path, O_RDWR), PROT_READ | PROT_WRITE)
      guard file >= 0, let page = unsafe mmap(nil, 4096, access, MAP_SHARED, file, 0),
        unsafe page != MAP_FAILED
      else { exit(1) }
      unsafe page.storeBytes(of: 1, as: UInt8.self)
      _ = unsafe mmap(page, 4096, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
      _exit(0)
    }

    /// A request of the kernel, according to fuse(4).
    private struct Request {
      let device: Int32
      let bytes: [UInt8]

      init?(from device: Int32) {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = unsafe read(device, &bytes, bytes.count)
        guard count >= 40 else { return nil }
        self.device = device
        self.bytes = Array(bytes.prefix(count))
      }

      func word(at offset: Int) -> UInt32 {
        unsafe bytes.withUnsafeBytes {
          unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        }
      }

      /// The words of an answer, which are followed by so many bytes.
      func answer(_ words: [UInt32] = [], padding: Int = 0, error: Int32 = 0) {
        let size = UInt32(16 + words.count * 4 + padding)
        let all = [size, UInt32(bitPattern: -error), word(at: 8), word(at: 12)] + words
        let data =
          unsafe all.withUnsafeBytes { unsafe Array($0) } + [UInt8](repeating: 0, count: padding)
        _ = unsafe write(device, data, data.count)
      }
    }

    /// What the kernel wants to know of a file: 22 words.
    private static func attributes(of node: UInt32) -> [UInt32] {
      [node, 0, 4096, 0, 8, 0] + [UInt32](repeating: 0, count: 9)
        + [node == 1 ? 0o40755 : 0o100666, 1, 0, 0, 0, 4096, 0]
    }

    private static func answer(_ request: Request, _ folder: String) {
      switch request.word(at: 4) {
      case 26:  // INIT
        request.answer([7, 31, request.word(at: 48), 0, 9 << 16 | 12, 65536, 1, 16], padding: 32)
      case 1: request.answer([2, 0, 1] + [0, 0, 0, 0, 0, 0, 0] + attributes(of: 2))  // LOOKUP
      case 3, 4:  // GETATTR, SETATTR
        request.answer([0, 0, 0, 0] + attributes(of: request.word(at: 16)))
      case 14, 27:  // OPEN, OPENDIR
        // It needs no name any more.
        _ = unsafe umount2(folder, Int32(MNT_DETACH))
        request.answer([1, 0, 0, 0])
      case 15: request.answer(padding: 4096)  // READ
      case 16: LockTaker.say("hangs")  // WRITE
      case 2, 36, 42: break  // FORGET, INTERRUPT, BATCH_FORGET
      case 18, 20, 25, 29, 30: request.answer()  // RELEASE, FSYNC, FLUSH and the like
      default: request.answer(error: ENOSYS)
      }
    }
  }
#endif
