/// The replies to the commands of one request, in their order.
///
/// No request of the hot path has more than three, which need no array.
struct Replies: RandomAccessCollection, Equatable, ExpressibleByArrayLiteral {
  private var first: Reply?
  private var second: Reply?
  private var third: Reply?
  private var others: [Reply] = []
  private(set) var count = 0
  /// Whether one of them is an error.
  private(set) var hasErrors = false

  init() {}

  init(_ replies: [Reply]) { for reply in replies { append(reply) } }

  init(arrayLiteral replies: Reply...) { self.init(replies) }

  var startIndex: Int { 0 }
  var endIndex: Int { count }

  subscript(index: Int) -> Reply {
    let reply: Reply? =
      switch index {
      case 0: first
      case 1: second
      case 2: third
      default: others[index - 3]
      }
    guard let reply else { preconditionFailure("There is no reply \(index).") }
    return reply
  }

  mutating func append(_ reply: Reply) {
    if case .error = reply { hasErrors = true }
    switch count {
    case 0: first = reply
    case 1: second = reply
    case 2: third = reply
    default: others.append(reply)
    }
    count += 1
  }
}
