// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {Wallet, WalletFactory} from "./mocks/Wallet.sol";

interface IDomain {
    function DOMAIN_SEPARATOR() external view returns (bytes32);
    function nonces(address owner) external view returns (uint256);
}

/// @dev What a payer's wallet signs for each kind of consent, written down from the standards, not from the contract.
abstract contract SignerTest is EscrowTest {
    string internal constant TERMS_TYPE =
        "Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)";
    bytes32 internal constant PASSWORD = keccak256("open sesame");
    bytes32 private constant UNDEPLOYED = 0x6492649264926492649264926492649264926492649264926492649264926492;

    // ----------------------------------------------------------------- terms, kind 1

    function signed(IPreauthEscrow.Terms memory terms, string memory name) internal view returns (bytes memory) {
        return byTerms(ecdsa(escrow.consentDigest(terms), name));
    }

    function byTerms(bytes memory signature) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), signature);
    }

    // ---------------------------------------------------------------- ERC-2612, kind 2

    function byPermit(bytes memory permitSignature, bytes memory signature) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(2), uint16(permitSignature.length), permitSignature, signature);
    }

    /// @dev With the owner's next nonce.
    function permitDigest(IPreauthEscrow.Terms memory terms) internal view returns (bytes32) {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        uint256 nonce = IDomain(terms.token).nonces(terms.sender);
        bytes32 structHash =
            keccak256(abi.encode(typeHash, terms.sender, address(escrow), terms.hold, nonce, terms.expiresAt));
        return typedDigest(IDomain(terms.token).DOMAIN_SEPARATOR(), structHash);
    }

    // ---------------------------------------------------------------- ERC-3009, kind 3

    function byAuthorization(bytes memory signature) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(3), signature);
    }

    function authorizationDigest(IPreauthEscrow.Terms memory terms) internal view returns (bytes32) {
        return authorizationDigest(terms, address(escrow));
    }

    function authorizationDigest(IPreauthEscrow.Terms memory terms, address payee) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 structHash =
            keccak256(abi.encode(typeHash, terms.sender, payee, terms.hold, 0, terms.expiresAt, termsHash(terms)));
        return typedDigest(IDomain(terms.token).DOMAIN_SEPARATOR(), structHash);
    }

    // ----------------------------------------------------------------- Permit2, kind 4

    function byPermit2(uint256 nonce, bytes memory signature) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(4), nonce, signature);
    }

    function permit2Digest(IPreauthEscrow.Terms memory terms, uint256 nonce) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Terms witness)",
                TERMS_TYPE,
                "TokenPermissions(address token,uint256 amount)"
            )
        );
        bytes32 permitted =
            keccak256(abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), terms.token, terms.hold));
        bytes32 structHash =
            keccak256(abi.encode(typeHash, permitted, address(escrow), nonce, terms.expiresAt, termsHash(terms)));
        return typedDigest(IDomain(PERMIT2).DOMAIN_SEPARATOR(), structHash);
    }

    // -------------------------------------------------------------------- signatures

    function ecdsa(bytes32 digest, string memory name) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf(name), digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev What `Wallet` takes as its signature, filled up to a length.
    function byPassword(bytes32 digest, uint256 length) internal pure returns (bytes memory) {
        return abi.encodePacked(PASSWORD, digest, new bytes(length - 64));
    }

    function byPassword(bytes32 digest) internal pure returns (bytes memory) {
        return byPassword(digest, 64);
    }

    /// @dev As ERC-6492 wraps the signature of a wallet that is not there yet.
    function wrapped(address factory, bytes memory factoryCall, bytes memory signature)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(abi.encode(factory, factoryCall, signature), UNDEPLOYED);
    }

    function typedDigest(bytes32 domain, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function termsHash(IPreauthEscrow.Terms memory terms) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(TERMS_TYPE)),
                terms.sender,
                terms.receiver,
                terms.token,
                terms.hold,
                terms.expiresAt,
                terms.preauthId
            )
        );
    }

    // ------------------------------------------------------------------------ actors

    /// @dev A contract wallet with funds, and terms of it to a receiver nobody registered.
    function someWallet(address paidIn) internal returns (Wallet wallet, IPreauthEscrow.Terms memory terms) {
        wallet = new Wallet(PASSWORD);
        terms = someTerms(paidIn);
        terms.sender = address(wallet);
        terms.receiver = stranger;
        deal(terms);
    }

    /// @dev A wallet that has funds but is not there yet, and terms of it to a receiver nobody registered.
    function someFutureWallet(address paidIn)
        internal
        returns (WalletFactory factory, IPreauthEscrow.Terms memory terms)
    {
        factory = new WalletFactory();
        terms = someTerms(paidIn);
        terms.sender = factory.addressOf(PASSWORD);
        terms.receiver = stranger;
        deal(terms);
        assertEq(terms.sender.code.length, 0);
    }

    function deal(IPreauthEscrow.Terms memory terms) private {
        vm.prank(sender);
        IERC20(terms.token).transfer(terms.sender, 2 * uint256(terms.hold));
    }

    /// @dev Another escrow on the same chain, with the same operator.
    function anotherEscrow() internal returns (PreauthEscrow) {
        address[] memory operators = new address[](1);
        operators[0] = operator;
        return new PreauthEscrow(admin, guardian, operators, DELAY, LONGEST, PERMIT2);
    }

    // ------------------------------------------------------------------- expectations

    function authorize(IPreauthEscrow.Terms memory terms, bytes memory consent) internal {
        vm.prank(operator);
        escrow.authorize(terms, consent);
    }

    function assertHeld(IPreauthEscrow.Terms memory terms) internal view {
        assertStatus(terms, IPreauthEscrow.Status.Open);
        assertEq(IERC20(terms.token).balanceOf(address(escrow)), terms.hold);
    }

    /// @dev For this reason.
    function assertRefused(IPreauthEscrow.Terms memory terms, bytes memory consent, bytes memory reason) internal {
        refused(operator, reason);
        escrow.authorize(terms, consent);
    }

    function assertRefused(IPreauthEscrow.Terms memory terms, bytes memory consent, bytes4 reason) internal {
        assertRefused(terms, consent, abi.encodePacked(reason));
    }

    /// @dev Whatever the reason.
    function assertRefused(IPreauthEscrow.Terms memory terms, bytes memory consent) internal {
        uint256 funds = IERC20(terms.token).balanceOf(terms.sender);
        vm.prank(operator);
        (bool success,) = address(escrow).call(abi.encodeCall(IPreauthEscrow.authorize, (terms, consent)));
        assertFalse(success);
        assertStatus(terms, IPreauthEscrow.Status.None);
        assertEq(IERC20(terms.token).balanceOf(terms.sender), funds);
    }

    /// @dev Consent to these terms is consent to no others, not even under another preauth id.
    function assertBindsEachField(IPreauthEscrow.Terms memory terms, bytes memory consent) internal {
        for (uint256 field = 0; field < ALTERABLE_FIELDS; ++field) {
            // Another token has no code, so that nothing of it can be asked.
            if (field == 2) continue;
            assertRefused(altered(terms, field), consent);
        }
        // No field is altered by a number beyond them: a copy.
        IPreauthEscrow.Terms memory other = altered(terms, ALTERABLE_FIELDS);
        other.preauthId ^= bytes32(uint256(1));
        assertRefused(other, consent);
        assertStatus(terms, IPreauthEscrow.Status.None);
    }
}
