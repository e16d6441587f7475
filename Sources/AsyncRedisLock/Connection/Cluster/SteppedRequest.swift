/// Sends the rest of a redirected pipeline, one command after the other.
///
/// What was executed before the first redirected command counts, and nothing behind it. A fencing token that was drawn
/// before the key was taken could be smaller than that of a holder in between.
final class SteppedRequest: Sendable {
  private let request: Request
  private let commands: [Command]
  private let sentAt: Instant
  private let cluster: ClusterConnection

  init(_ request: Request, _ commands: [Command], sentAt: Instant, in cluster: ClusterConnection) {
    self.request = request
    self.commands = commands
    self.sentAt = sentAt
    self.cluster = cluster
  }

  /// Sends the next command; `replies` are those to the commands before, and `source` tells where the second of them
  /// came from.
  func goOn(behind replies: [Reply], source: UInt64) {
    guard replies.count < commands.count else {
      var answer = Request.Answer(replies: Replies(replies), sentAt: sentAt)
      answer.source = source
      return request.succeed(answer)
    }
    var undo: Request.Undo?
    if let made = request.makeUndo() { undo = { _ in made } }
    let step = Request([commands[replies.count]], deadline: request.deadline, undo: undo) {
      [self] result in
      switch result {
      case .failure(let failure): request.fail(failure) { cluster.submit($0) }
      case .success(let answer):
        guard !request.isFinished else {
          // The caller's undo may have overtaken this command on the way to another node.
          if let undo = request.makeUndo() { cluster.submit(undo) }
          return
        }
        // The second command is the one that draws the number.
        goOn(
          behind: replies + [answer.replies[0]],
          source: replies.count == 1 ? answer.source : source)
      }
    }
    step.slot = request.slot
    cluster.submit(step)
  }
}
