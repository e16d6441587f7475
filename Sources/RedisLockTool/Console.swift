#if CommandLineTool
  import AsyncRedisLock
  import Dispatch
  import Synchronization

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
  ///
  /// Nobody waits for the reader of it, who may never read: what does not fit is dropped and counted.
  final class Console: Sendable {
    enum Level: Int, Sendable { case error, warning, info }

    private struct State {
      var pending = 0
      var dropped = 0
    }

    private static let capacity = 256
    /// How long the end of the process waits for the last words.
    private static let patience = DispatchTimeInterval.milliseconds(200)

    let level: Level
    private let isJSON: Bool
    private let queue = DispatchQueue(label: "redis-lock.console")
    private let state = Mutex(State())

    init(level: Level, isJSON: Bool) {
      self.level = level
      self.isJSON = isJSON
    }

    /// Says something, in one write.
    func say(_ level: Level, _ text: String) {
      guard level.rawValue <= self.level.rawValue else { return }
      let time = Date.now
      let isTaken = state.withLock { state in
        guard state.pending < Self.capacity else {
          state.dropped += 1
          return false
        }
        state.pending += 1
        return true
      }
      if isTaken { queue.async { @Sendable in self.write(level, text, at: time) } }
    }

    private func write(_ level: Level, _ text: String, at time: Date) {
      Self.write(line(level, text, at: time), to: STDERR_FILENO)
      let dropped = state.withLock { state in
        state.pending -= 1
        defer { state.dropped = 0 }
        return state.dropped
      }
      if dropped > 0 {
        let text = "\(dropped) messages were dropped, since nothing read them in time"
        Self.write(line(.warning, text, at: time), to: STDERR_FILENO)
      }
    }

    private func line(_ level: Level, _ text: String, at time: Date) -> String {
      guard isJSON else { return "redis-lock: \(text)\n" }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let fields = [
        "time": time.formatted(.iso8601.time(includingFractionalSeconds: true)),
        "level": "\(level)", "message": text,
      ]
      return ((try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? "")
        + "\n"
    }

    /// Ends the process, when what was said is written or has had a moment for it.
    func exit(_ status: Int32) -> Never {
      let isWritten = DispatchSemaphore(value: 0)
      queue.async { @Sendable in _ = isWritten.signal() }
      _ = isWritten.wait(timeout: .now() + Self.patience)
      Self.end(status)
    }

    /// Says why the process cannot even begin, and ends it.
    static func fail(_ status: ToolStatus, _ text: String) -> Never {
      write("redis-lock: \(text)\n", to: STDERR_FILENO)
      end(status.rawValue)
    }

    private static func end(_ status: Int32) -> Never {
      #if canImport(Darwin)
        Darwin.exit(status)
      #else
        Glibc.exit(status)
      #endif
    }

    /// Writes a text; returns the error when that cannot be done, as `errno`.
    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> Int32? {
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
        if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return errno }
      }
      return nil
    }
  }
#endif
