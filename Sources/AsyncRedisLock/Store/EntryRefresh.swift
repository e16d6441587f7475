/// A claim whose place is to be kept for `lapse`.
package struct EntryRefresh: Sendable {
  package let claim: Claim
  package let lapse: Duration
}
