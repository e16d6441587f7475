#if CommandLineTool
  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  #if canImport(Darwin)
    import Darwin
  #else
    import Glibc
  #endif

  /// What the tool says, on its standard error: never in the way of the command's output.
  struct Console: Sendable {
    enum Level: Int, Sendable { case error, warning, info }

    let level: Level
    let isJSON: Bool

    /// Says something, in one write.
    func say(_ level: Level, _ text: String) {
      guard level.rawValue <= self.level.rawValue else { return }
      var line = "redis-lock: \(text)\n"
      if isJSON {
        let time = Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let fields = ["time": time, "level": "\(level)", "message": text]
        guard let data = try? encoder.encode(fields) else { return }
        line = String(decoding: data, as: UTF8.self) + "\n"
      }
      Self.write(line, to: STDERR_FILENO)
    }

    /// Writes a text; what cannot be written is lost, as there is nowhere to say so.
    static func write(_ text: String, to descriptor: Int32) {
      var rest = ArraySlice(text.utf8)
      while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { bytes in
          // The method of the same name hides it.
          #if canImport(Darwin)
            unsafe Darwin.write(descriptor, bytes.baseAddress, bytes.count)
          #else
            unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
          #endif
        }
        if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
      }
    }
  }
#endif
