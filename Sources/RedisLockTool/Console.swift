#if CommandLineTool
  import AsyncRedisLock
  import CChildProcess
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

  /// The tool's messages, on its standard error, so that they never mix with the command's output.
  ///
  /// No thread waits for their reader, which may never read: messages that do not fit are dropped and counted.
  final class Console: Sendable {
    enum Level: Int, Sendable { case error, warning, info }

    /// The subjects of a message, by name, for programs that read it.
    typealias Fields = [String: Field]

    /// One subject of a message.
    enum Field: Encodable, Sendable {
      case text(String)
      case number(Int64)
      case seconds(Duration)

      func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .seconds(let duration): try container.encode(duration / .milliseconds(1) / 1000)
        }
      }
    }

    private struct State {
      var pending = 0
      var dropped = 0
      /// Whether the terminal's last line shows progress, which the next message replaces.
      var showsProgress = false
    }

    /// Puts the cursor back to the start of its line, and clears the line.
    private static let lineStart = "\r\u{1B}[K"
    /// Short enough that a terminal of 80 columns does not wrap it.
    private static let progressWidth = 79

    private static let capacity = 256
    /// How long the end of the process waits for the last messages, in milliseconds.
    private static let patience = 200

    let level: Level
    /// Whether the messages go to a terminal, which shows progress and no times.
    let isTerminal = isatty(STDERR_FILENO) == 1
    private let isJSON: Bool
    private let queue = ThreadQueue()
    private let state = Locked(State())

    init(level: Level, isJSON: Bool) {
      self.level = level
      self.isJSON = isJSON
    }

    /// Prints a message, in one write; the fields are for programs.
    func say(_ level: Level, _ text: String, _ fields: Fields = [:]) {
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
      if isTaken { queue.async { @Sendable in self.write(level, text, fields, at: time) } }
    }

    /// Whether progress is shown, on a line that changes.
    var showsProgress: Bool { isTerminal && !isJSON && level != .error }

    /// Shows progress in place of the last progress; nil clears it.
    func showProgress(_ text: String?) {
      // In the background, the terminal belongs to another job.
      if text != nil, tcgetpgrp(STDERR_FILENO) != getpgrp() { return }
      let isShown = text != nil
      let isNews = state.withLock { state in
        defer { state.showsProgress = isShown }
        return isShown || state.showsProgress
      }
      guard isNews else { return }
      let line =
        Self.lineStart
        + (text.map { "redis-lock: \($0.safeToShow)".cut(toColumns: Self.progressWidth) } ?? "")
      queue.async { @Sendable in Self.write(line, to: STDERR_FILENO) }
      if !isShown { drain() }
    }

    private func write(_ level: Level, _ text: String, _ fields: Fields, at time: Date) {
      let start = state.withLock { $0.showsProgress } ? Self.lineStart : ""
      Self.write(start + line(level, text, fields, at: time), to: STDERR_FILENO)
      let dropped = state.withLock { state in
        state.pending -= 1
        defer { state.dropped = 0 }
        return state.dropped
      }
      if dropped > 0 {
        let text = "\(dropped) messages were dropped because nothing read them in time"
        Self.write(line(.warning, text, [:], at: time), to: STDERR_FILENO)
      }
    }

    private func line(_ level: Level, _ text: String, _ fields: Fields, at time: Date) -> String {
      if isJSON { return Self.jsonLine(level, text, fields, at: time) }
      let shown = text.safeToShow
      return (isTerminal ? "" : Self.format(time) + " ") + "redis-lock: \(shown)\n"
    }

    static func jsonLine(
      _ level: Level, _ text: String, _ fields: Fields, at time: Date
    ) -> String {
      let own: Fields = [
        "time": .text(format(time)), "level": .text("\(level)"), "message": .text(text),
      ]
      let line = try? JSONEncoder.forTool.line(fields.merging(own) { $1 })
      return (line ?? "") + "\n"
    }

    /// Formats a time by RFC 3339, with the zone.
    private static func format(_ time: Date) -> String {
      time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// Ends the process once the messages are written or have had a moment for that.
    ///
    /// If Ctrl-C has ended the command, the process ends by the same signal.
    ///
    /// Otherwise a script would go on: its shell sees how the child ends, and has to get the signal as well. The same
    /// goes for any signal that has ended a command with the terminal, whose modes a shell restores then.
    func exit(_ status: Int32, endedBy signal: Int32? = nil) -> Never {
      drain()
      let typed = child_process_typed()
      if typed != 0 { child_process_signal_job(typed) }
      let isTyped =
        signal.map { [SIGINT, SIGQUIT].contains($0) } == true
        && (signal == typed || SignalReceiver.hasReceived(signal ?? 0))
      if let signal, isTyped || status == 128 + signal && child_process_has_had_terminal() != 0 {
        child_process_end_by(signal)
      }
      Self.end(status)
    }

    /// Waits until all messages are written, for a moment at most.
    private func drain() {
      let isWritten = DispatchSemaphore(value: 0)
      queue.async { @Sendable in _ = isWritten.signal() }
      _ = isWritten.wait(timeout: .now() + .milliseconds(Self.patience))
    }

    /// Reports why the process cannot even begin, and ends it.
    static func fail(_ status: ToolStatus, _ text: String) -> Never {
      let fields: Fields = ["exitStatus": .number(Int64(status.rawValue))]
      let line =
        CommandLineWords.wantsJSON
        ? jsonLine(.error, text, fields, at: .now) : "redis-lock: \(text.safeLines)\n"
      sayLast(line)
      end(status.rawValue)
    }

    /// Writes a text to the standard error before the process ends, if that takes it within a moment.
    ///
    /// A pipe that nothing reads must not keep the process alive.
    static func sayLast(_ text: String) {
      var rest = ArraySlice(text.utf8)
      while !rest.isEmpty {
        var entry = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&entry, 1, Int32(patience)) > 0 else { return }
        // A pipe that can be written to takes so much at once.
        let part = rest.prefix(Int(PIPE_BUF))
        guard write(String(decoding: part, as: UTF8.self), to: STDERR_FILENO) == nil else { return }
        rest = rest.dropFirst(part.count)
      }
    }

    private static let isEnding = Atomic<Bool>(false)

    private static func end(_ status: Int32) -> Never {
      // Two calls of exit(3) at once are undefined.
      while isEnding.exchange(true, ordering: .relaxed) { pause() }
      #if canImport(Darwin)
        Darwin.exit(status)
      #else
        Glibc.exit(status)
      #endif
    }

    /// Writes a text; returns the error, as `errno`, if that fails.
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
