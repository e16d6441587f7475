#if CommandLineTool
  import Foundation

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
      try? FileHandle.standardError.write(contentsOf: Data(line.utf8))
    }
  }
#endif
