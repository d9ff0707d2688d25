// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";

/// @dev The cheat codes the proofs need.
interface Cheats {
    function assume(bool condition) external pure;
    function prank(address caller) external;
    function warp(uint256 timestamp) external;
}

/// @dev The cheat codes halmos adds.
interface Symbols {
    function enableSymbolicStorage(address account) external;
    function createBytes(uint256 length, string memory name) external pure returns (bytes memory);
}

/// @dev The escrow, with what it keeps to itself to be read.
contract OpenEscrow is PreauthEscrow {
    constructor(address admin, address guardian, address[] memory operators, uint40 delay, uint40 longest)
        PreauthEscrow(admin, guardian, operators, delay, longest, address(0))
    {}

    function lead() external view returns (address) {
        return leadOperator;
    }

    function marks() external view returns (uint88) {
        return demandMarks;
    }
}

/// @dev A token that pays exactly or, where it has blocked somebody, not at all.
contract BlockingToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;
    mapping(address account => bool) public blocked;

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function _move(address from, address to, uint256 amount) private {
        require(!blocked[from] && !blocked[to]);
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev What every proof stands on. The proofs hold for any storage of the escrow and of its token: whatever happened
/// before, in any order, as long as what `knownGate` and `knownBooks` say is true. Those are proven to stay true (Gate) and tested to
/// (the invariants of the forge tests).
abstract contract Proof {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    Symbols internal constant svm = Symbols(address(uint160(uint256(keccak256("svm cheat code")))));

    uint40 internal constant LONGEST = 90 days;
    uint40 internal constant DELAY = 48 hours;

    OpenEscrow internal escrow;
    BlockingToken internal token;

    function setUp() public {
        escrow = new OpenEscrow(address(0xad), address(0x9a), new address[](0), DELAY, LONGEST);
        token = new BlockingToken();
        svm.enableSymbolicStorage(address(escrow));
        svm.enableSymbolicStorage(address(token));
    }

    /// @dev Nobody has more tokens or claims than there can be.
    uint256 internal constant SUPPLY = 1 << 200;

    /// @dev Where everybody stands before and after.
    struct Books {
        bytes32 word;
        uint256 ofEscrow;
        uint256 ofSender;
        uint256 ofReceiver;
        uint256 claim;
    }

    function books(IPreauthEscrow.Terms memory terms) internal view returns (Books memory) {
        return Books({
            word: escrow.preauths(terms.preauthId),
            ofEscrow: token.balanceOf(address(escrow)),
            ofSender: token.balanceOf(terms.sender),
            ofReceiver: token.balanceOf(terms.receiver),
            claim: escrow.claimable(terms.sender, address(token))
        });
    }

    /// @dev Any moment, any terms in the token, any state.
    function assumeAny(IPreauthEscrow.Terms memory terms, uint40 moment) internal {
        vm.warp(moment);
        vm.assume(terms.token == address(token));
        Books memory b = books(terms);
        vm.assume(b.ofEscrow < SUPPLY && b.ofSender < SUPPLY && b.ofReceiver < SUPPLY && b.claim < SUPPLY);
    }

    /// @dev The hold is open under these terms: they passed the checks of `authorize`, and the escrow has its tokens.
    function assumeOpen(IPreauthEscrow.Terms memory terms) internal view {
        vm.assume(isOpen(terms));
        vm.assume(token.balanceOf(address(escrow)) >= terms.hold);
    }

    function assumeDistinct(IPreauthEscrow.Terms memory terms) internal view {
        vm.assume(terms.sender != terms.receiver);
        vm.assume(terms.sender != address(escrow) && terms.receiver != address(escrow));
        vm.assume(terms.sender != address(token) && terms.receiver != address(token));
    }

    function isOpen(IPreauthEscrow.Terms memory terms) internal view returns (bool) {
        return escrow.preauths(terms.preauthId) == keccak256(abi.encode(TERMS_TYPEHASH, terms));
    }

    function assumeKnownGate() internal view {
        address lead = escrow.lead();
        vm.assume(lead == address(0) || escrow.isOperator(lead));
    }

    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)"
    );

    // ------------------------------------------------------------------------ calls

    function callBy(address caller, bytes memory data) internal returns (bool success) {
        (success,) = answerBy(caller, data);
    }

    function answerBy(address caller, bytes memory data) internal returns (bool success, bytes memory answer) {
        vm.prank(caller);
        (success, answer) = address(escrow).call(data);
    }

    function hasStatus(IPreauthEscrow.Terms memory terms, IPreauthEscrow.Status status) internal view returns (bool) {
        return escrow.preauths(terms.preauthId) == bytes32(uint256(status));
    }

    function isOutOfGas(bytes memory answer) internal pure returns (bool) {
        return answer.length >= 4 && bytes4(answer) == IPreauthEscrow.InsufficientGas.selector;
    }
}
