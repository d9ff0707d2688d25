// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {IPermit2} from "../src/interfaces/SignedTransfers.sol";
import {IDomain, SignerTest} from "./SignerTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {Wallet} from "./mocks/Wallet.sol";

interface INonces {
    function invalidateUnorderedNonces(uint256 wordPos, uint256 mask) external;
}

/// @dev Kind 4: a transfer through the published Permit2, with the terms as witness. The sender allowed Permit2 alone.
contract ConsentPermit2Test is SignerTest {
    error InvalidSigner();
    error InvalidNonce();
    error InvalidContractSignature();

    uint256 private constant NONCE = 0xabc07;

    function setUp() public override {
        super.setUp();
        vm.startPrank(sender);
        token.approve(address(escrow), 0);
        token.approve(PERMIT2, type(uint256).max);
        vm.stopPrank();
    }

    function test_OneSignatureLocksAHold() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        authorize(terms, consentOf(terms, "sender"));
        assertHeld(terms);
    }

    function test_ASenderWhoDemandsSignaturesIsServed() public {
        vm.prank(sender);
        escrow.requireSignedConsent(true);
        IPreauthEscrow.Terms memory terms = unregistered();
        authorize(terms, consentOf(terms, "sender"));
        assertHeld(terms);
    }

    /// @dev The published code carries the domain of the chain it was built on, and builds another one elsewhere.
    function test_ItsDomainIsTheOneOfTheChain() public {
        uint256[3] memory chains = [uint256(1), 31337, 8453];
        for (uint256 i = 0; i < chains.length; ++i) {
            vm.chainId(chains[i]);
            bytes32 typeHash = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
            bytes32 domain = keccak256(abi.encode(typeHash, keccak256("Permit2"), chains[i], PERMIT2));
            assertEq(IDomain(PERMIT2).DOMAIN_SEPARATOR(), domain);
        }
    }

    // ------------------------------------------------------------- what is signed

    function test_TheSignatureBindsEachField() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        assertBindsEachField(terms, consentOf(terms, "sender"));
    }

    function test_ASignatureOfAnotherIsRejected() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        assertRefused(terms, consentOf(terms, "stranger"), InvalidSigner.selector);
        assertRefused(terms, byPermit2(NONCE + 1, ecdsa(permit2Digest(terms, NONCE), "sender")));
        assertRefused(terms, byPermit2(NONCE, ecdsa(escrow.consentDigest(terms), "sender")));
        assertRefused(terms, byPermit2(NONCE, ""));
    }

    function test_ACutNonceIsRejected() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        assertRefused(terms, abi.encodePacked(uint8(4), bytes31(0)), IPreauthEscrow.InvalidConsent.selector);
    }

    function test_ASignatureForAnotherEscrowOrChainIsRejected() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        bytes memory here = consentOf(terms, "sender");
        IPreauthEscrow other = anotherEscrow();
        refused(operator, InvalidSigner.selector);
        other.authorize(terms, here);
        vm.chainId(block.chainid + 1);
        assertRefused(terms, here);
    }

    function test_NobodyElseCanUseTheSignature() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        bytes memory signature = ecdsa(permit2Digest(terms, NONCE), "sender");
        bytes32 witness = escrow.hashTerms(terms);
        refused(stranger, InvalidSigner.selector);
        IPermit2(PERMIT2)
            .permitWitnessTransferFrom(
                IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(address(token), HOLD), NONCE, terms.expiresAt),
                IPermit2.SignatureTransferDetails(address(escrow), HOLD),
                sender,
                witness,
                string.concat("Terms witness)", TERMS_TYPE, "TokenPermissions(address token,uint256 amount)"),
                signature
            );
    }

    function test_AUsedNonceIsRejected() public {
        IPreauthEscrow.Terms memory first = unregistered();
        IPreauthEscrow.Terms memory second = unregistered();
        authorize(first, consentOf(first, "sender"));
        assertRefused(second, consentOf(second, "sender"), InvalidNonce.selector);
    }

    function test_ASenderCanWithdrawHisConsent() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        vm.prank(sender);
        INonces(PERMIT2).invalidateUnorderedNonces(NONCE >> 8, 1 << (NONCE & 0xff));
        assertRefused(terms, consentOf(terms, "sender"), InvalidNonce.selector);
    }

    // ------------------------------------------------------------- contract wallets

    function test_AContractWalletSigns() public {
        (Wallet wallet, IPreauthEscrow.Terms memory terms) = someWallet(address(token));
        wallet.approve(token, PERMIT2);
        bytes memory consent = byPermit2(NONCE, byPassword(permit2Digest(terms, NONCE)));
        wallet.setManner(Wallet.Manner.WrongAnswer);
        assertRefused(terms, consent, InvalidContractSignature.selector);

        wallet.setManner(Wallet.Manner.Fair);
        authorize(terms, consent);
        assertHeld(terms);
    }

    // --------------------------------------------------------------------- the rest

    function test_ATokenThatMovesAnotherAmountIsRefused() public {
        HostileToken hostile = new HostileToken();
        hostile.mint(sender, FUNDS);
        vm.prank(sender);
        hostile.approve(PERMIT2, type(uint256).max);
        hostile.setManner(HostileToken.Manner.SendMore);
        IPreauthEscrow.Terms memory terms = someTerms(address(hostile));
        assertRefused(
            terms,
            consentOf(terms, "sender"),
            abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, HOLD + 1)
        );
    }

    function test_AnEscrowWithoutPermit2RefusesTheKind() public {
        address[] memory operators = new address[](1);
        operators[0] = operator;
        PreauthEscrow without = new PreauthEscrow(admin, guardian, operators, DELAY, LONGEST, address(0));
        assertEq(without.PERMIT2(), address(0));
        IPreauthEscrow.Terms memory terms = unregistered();
        bytes memory consent = consentOf(terms, "sender");
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        without.authorize(terms, consent);
    }

    function test_APermit2WithoutCodeIsNoSetting() public {
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        new PreauthEscrow(admin, guardian, new address[](0), DELAY, LONGEST, stranger);
        assertEq(escrow.PERMIT2(), PERMIT2);
    }

    // ------------------------------------------------------------------- helpers

    function unregistered() private returns (IPreauthEscrow.Terms memory terms) {
        terms = someTerms();
        terms.receiver = stranger;
    }

    function consentOf(IPreauthEscrow.Terms memory terms, string memory name) private view returns (bytes memory) {
        return byPermit2(NONCE, ecdsa(permit2Digest(terms, NONCE), name));
    }
}
