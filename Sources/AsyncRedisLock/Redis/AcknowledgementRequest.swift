/// A round, whose commands are made when they are sent.
final class AcknowledgementRequest: CommandEncoder {
  private let makeCommands: @Sendable () -> [Command]?

  /// `makeCommands` takes the operations that the round is for; it returns nil if there are none.
  init(_ makeCommands: @escaping @Sendable () -> [Command]?) { self.makeCommands = makeCommands }

  var commandCount: Int { 3 }

  var runsScript: Bool { false }

  func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool {
    guard let commands = makeCommands() else { return false }
    for command in commands { buffer.append(command, question: question) }
    return true
  }
}
