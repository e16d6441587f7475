/// What a server says about itself in its answer to `HELLO`.
struct ServerIdentity: Equatable {
  /// `standalone`, `sentinel` or `cluster`.
  let mode: String?
  /// `master` or `replica`.
  let role: String?

  /// Reads the names and values of the answer.
  init(_ fields: [Reply]) {
    var values: [String: String] = [:]
    var rest = fields[...]
    while let name = rest.popFirst(), let value = rest.popFirst() {
      if case .string(let name) = name, case .string(let value) = value { values[name] = value }
    }
    mode = values["mode"]
    role = values["role"]
  }
}
