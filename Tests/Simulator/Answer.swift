/// An answer of the server.
enum Answer {
  case status(String)
  case error(String)
  case number(Int64)
  case text(String)
  case null
  indirect case array([Answer])

  /// The bytes of the answer, by RESP2.
  var encoded: [UInt8] { Array(text.utf8) }

  private var text: String {
    switch self {
    case .status(let text): "+\(text)\r\n"
    case .error(let text): "-\(text)\r\n"
    case .number(let number): ":\(number)\r\n"
    case .text(let text): "$\(text.utf8.count)\r\n\(text)\r\n"
    case .null: "$-1\r\n"
    case .array(let answers): "*\(answers.count)\r\n" + answers.map(\.text).joined()
    }
  }
}
